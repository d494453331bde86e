"""Points of a measurement that may be stopped and led on: each in a log when done.

Every point is measured in a process of its own, so that what a former one left in
memory is not there to be used again, and a point that dies takes no other with it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from growth import Point, Series

from her2sr_proc.store.lines import LineWriter, read_lines

ENOUGH_S, FEW_S = 0.3, 3.0
"""Of processor time: a call is repeated until so much was used, by three calls at least
or by fewer that took so long."""
MOST_CALLS = 50
Case = Callable[[int], Callable[[], object]]


class Step(NamedTuple):
    """One operation against one size, and how it is prepared at a size."""

    name: str
    axis: str
    sizes: Sequence[int]
    case: Case


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the log."""

    operation: str
    against: str
    size: int
    cpu_s: float
    peak_mb: float
    calls: int
    load: float
    """Of the machine, by the last minute: the figures are of processor time."""
    fault: str = ""


def read_log(path: Path) -> list[Row]:
    """Return what stands in a log; a torn last line was never measured."""
    return [Row(**json.loads(line)) for line in read_lines(path)]


def series_of(rows: Sequence[Row]) -> list[Series]:
    """Return the series of three points or more, the latest of every point."""
    points: dict[tuple[str, str], dict[int, Point]] = {}
    for row in rows:
        if not row.fault:
            of_step = points.setdefault((row.operation, row.against), {})
            of_step[row.size] = Point(row.size, row.cpu_s, row.peak_mb)
    return [
        Series(name, axis, tuple(found[size] for size in sorted(found)))
        for (name, axis), found in points.items()
        if len(found) > 2
    ]


def measure(steps: Sequence[Step], log: Path) -> Iterator[Row]:
    """Measure what the log has not, small sizes of all steps first; yield each row."""
    had = {(r.operation, r.against, r.size) for r in read_log(log) if not r.fault}
    with LineWriter(log) as lines:
        for turn in range(max(len(step.sizes) for step in steps)):
            for step in steps:
                if turn >= len(step.sizes):
                    continue
                size = step.sizes[turn]
                if (step.name, step.axis, size) in had:
                    continue
                row = _apart(step, size)
                lines.append(json.dumps(asdict(row)))
                yield row


def _apart(step: Step, size: int) -> Row:
    """Return one point, of a process that ends with it."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    sys.stdout.flush()
    # a daemon: it ends with this process, also where that is asked to stop
    child = context.Process(target=_tell, args=(theirs, step, size), daemon=True)
    child.start()
    theirs.close()
    try:
        told = mine.recv()
    except EOFError:
        told = None
    child.join()
    if told is None:
        told = {"fault": f"its process ended with {child.exitcode}"}
    given = {"cpu_s": 0.0, "peak_mb": 0.0, "calls": 0} | told
    load = round(os.getloadavg()[0], 1)
    return Row(operation=step.name, against=step.axis, size=size, load=load, **given)


def _tell(to: Connection, step: Step, size: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # objects of libraries whose threads a fork left behind are not to be ended here
    gc.freeze()
    step.case(step.sizes[0])()  # compiles, opens and imports what is late
    work = step.case(size)
    gc.collect()
    # what is free goes back to the system, and so is seen when it is needed again
    ctypes.CDLL(None).malloc_trim(0)
    before = _resident_mb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the mark of the highest, anew
    costs: list[float] = []
    while _are_few(costs):
        begun = time.process_time()
        work()
        costs.append(time.process_time() - begun)
    peak = max(0.0, _resident_mb("VmHWM") - before)
    cpu_s = round(float(np.median(costs)), 6)
    to.send({"cpu_s": cpu_s, "peak_mb": round(peak, 1), "calls": len(costs)})


def _are_few(costs: Sequence[float]) -> bool:
    if len(costs) < 3:
        return sum(costs) < FEW_S
    return sum(costs) < ENOUGH_S and len(costs) < MOST_CALLS


def _resident_mb(what: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("this measures memory by /proc/self/status, which Linux alone has")
