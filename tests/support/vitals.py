"""Memory, threads and file handles of processes, sampled while a run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Self

import psutil

EVERY_S = 2.0
MB = 1e6
GROWTH_MB = 10.0
"""By so much the memory of a process may differ between second and last quarter of a
run that is long enough for its heaps to have taken their shape: some minutes."""


@dataclass(frozen=True)
class Sample:
    """One process at one moment."""

    at_s: float
    rss_mb: float
    threads: int
    handles: int


@dataclass
class Vitals:
    """What was seen of one process."""

    name: str
    samples: list[Sample] = field(default_factory=list)
    is_lost: bool = False
    """Whether it ended while it was looked at."""

    def quarter(self, number: int) -> list[Sample]:
        """Return the samples of the first (0) to the last quarter (3) of the time."""
        begun, ended = self.samples[0].at_s, self.samples[-1].at_s
        length = (ended - begun) / 4
        low, high = begun + number * length, begun + (number + 1) * length
        return [s for s in self.samples if low <= s.at_s <= high]

    @property
    def growth_mb(self) -> float:
        """Mean memory of the last quarter less that of the second."""
        late, early = self.quarter(3), self.quarter(1)
        return fmean(s.rss_mb for s in late) - fmean(s.rss_mb for s in early)

    @property
    def peak_mb(self) -> float:
        """The most memory that was seen."""
        return max(s.rss_mb for s in self.samples)

    def least(self, number: int) -> tuple[int, int]:
        """Return the fewest threads and handles that a quarter saw.

        A question takes a socket and its thread for a moment; what is never given
        back raises the fewest, too.
        """
        seen = self.quarter(number)
        return min(s.threads for s in seen), min(s.handles for s in seen)

    def violations(self, *, growth_mb: float = GROWTH_MB) -> list[str]:
        """Return what shows that something piles up."""
        if self.is_lost:
            return [f"{self.name} ended"]
        wrong = []
        if self.growth_mb >= growth_mb:
            wrong.append(f"{self.name} grew by {self.growth_mb:.1f} MB")
        for what, before, after, spare in zip(
            ("threads", "handles"), self.least(1), self.least(3), SPARE, strict=True
        ):
            if after > before + spare:
                wrong.append(f"{self.name} had {before} {what}, later {after}")
        return wrong

    def line(self) -> str:
        """Return one line of a table."""
        (threads, handles), last = self.least(1), self.least(3)
        rss = [fmean(s.rss_mb for s in self.quarter(number)) for number in range(4)]
        by_quarter = " ".join(f"{mb:7.1f}" for mb in rss)
        return (
            f"{self.name:>12} {by_quarter}  {self.growth_mb:+6.1f}   "
            f"{threads:3d} {last[0]:3d}   {handles:3d} {last[1]:3d}"
        )


SPARE = (3, 0)
"""Pools start their last threads when much is to be done at once, however late; what
leaks a thread a field has five more by then."""
HEADER = (
    "     process  RSS in MB, mean of each quarter  growth   threads   handles\n"
    "              (growth: last quarter less second; others: second, last)"
)


class Sampler:
    """Looks at processes in a thread of its own, as a context manager."""

    def __init__(self, pids: Mapping[str, int], *, every_s: float = EVERY_S) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self.vitals = {name: Vitals(name) for name in pids}
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vitals")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def violations(self, *, growth_mb: float) -> list[str]:
        """Return what shows that something piles up anywhere."""
        return [
            wrong
            for vitals in self.vitals.values()
            for wrong in vitals.violations(growth_mb=growth_mb)
        ]

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            for name, process in self._processes.items():
                self._look(self.vitals[name], process)

    def _look(self, vitals: Vitals, process: psutil.Process) -> None:
        try:
            with process.oneshot():
                sample = Sample(
                    time.monotonic(),
                    process.memory_info().rss / MB,
                    process.num_threads(),
                    process.num_fds(),
                )
        except psutil.Error:
            vitals.is_lost = True
        else:
            vitals.samples.append(sample)
