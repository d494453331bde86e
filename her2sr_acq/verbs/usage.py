"""Processor time of every thread of some processes, and their memory, by /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from her2sr_proc.errors import RequestError

PROC = Path("/proc")
ENDED = "threads that have ended"
"""Stands for a thread's name; the system tells of them together alone."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes had used at one moment."""

    cpu_s: Mapping[tuple[str, str], float]
    """By process and thread name; threads of one name are summed."""
    peak_mb: Mapping[str, float]
    """Resident memory at its highest so far, by process."""
    machine_s: float = 0.0
    """Of all processors and all programs."""


def require_counters() -> None:
    """Raise `RequestError` where the system does not tell of single threads."""
    if not (PROC / "self/task").is_dir():
        raise RequestError(
            "this measures the processor time of threads by /proc, which this system "
            "does not have; run it on Linux"
        )


def cores() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0))


def usage_of(pids: Mapping[str, int]) -> Usage:
    """Return what the processes have used; one that has ended is left out."""
    cpu: dict[tuple[str, str], float] = {}
    peak: dict[str, float] = {}
    for process, pid in pids.items():
        with suppress(OSError):
            peak[process] = _peak_mb(pid)
        with suppress(OSError):
            alive_s = 0.0
            for task in (PROC / str(pid) / "task").iterdir():
                with suppress(OSError):
                    thread, seconds = _thread(task)
                    key = (process, thread)
                    cpu[key] = cpu.get(key, 0.0) + seconds
                    alive_s += seconds
            # asked last, so it is below what its threads said by rounding alone
            ended_s = _thread(PROC / str(pid))[1] - alive_s
            cpu[process, ENDED] = max(0.0, ended_s)
    return Usage(cpu, peak, _machine_s())


def _machine_s() -> float:
    """Return what all programs have used of all processors, waiting not counted."""
    words = (PROC / "stat").read_text().splitlines()[0].split()
    user, nice, system, _, _, interrupt, soft, *_ = (int(word) for word in words[1:])
    ticks = user + nice + system + interrupt + soft
    return ticks / os.sysconf("SC_CLK_TCK")


def _thread(task: Path) -> tuple[str, float]:
    """Return the name of a thread and its seconds in user and kernel mode."""
    text = (task / "stat").read_text()
    # the name stands in brackets and may hold any character
    name = text[text.index("(") + 1 : text.rindex(")")]
    rest = text[text.rindex(")") + 2 :].split()
    ticks = int(rest[11]) + int(rest[12])
    return name, ticks / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
