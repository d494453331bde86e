"""The localizer process: blocks from the bus in, tables and answers out.

``python -m her2sr_proc.live --data D --runtime R`` runs until SIGTERM;
``python -m her2sr_proc.live --warm`` compiles every kernel and exits.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from her2sr_proc import logs
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.live.facts import Facts
from her2sr_proc.live.jobs import Jobs
from her2sr_proc.live.questions import Answerer, Body, QuestionServer
from her2sr_proc.live.subscriber import Subscriber
from her2sr_proc.live.warming import STEPS, warm, warm_cleaning
from her2sr_proc.live.worker import Worker
from her2sr_proc.memory import give_back_freed_memory, keep_freed_memory
from her2sr_proc.offline import pipeline
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.raw_hold import RawHold

log = logging.getLogger("her2sr_proc.live")

NICENESS = 10


@dataclass(frozen=True, slots=True)
class Closer:
    """Closes units, fields and runs of a data folder with the offline functions."""

    data: DataFolder
    worker: Worker

    def close_unit(self, unit: UnitKey) -> None:
        """Make the table and images of a unit once its last blocks are in."""
        self.worker.retire(unit)
        run = self.data.run(unit.run)
        with RawHold(run):
            pipeline.close_unit(run, unit)
        give_back_freed_memory()

    def close_field(self, run: str, field: str) -> None:
        """Find the nuclei of a field and count."""
        with RawHold(self.data.run(run)):
            pipeline.close_field(self.data.run(run), field)
        give_back_freed_memory()

    def close_run(self, run: str) -> None:
        """Make the result and the report of a run."""
        pipeline.close_run(self.data.run(run))
        self.worker.forget(run)


def serve(data: Path, runtime: Path, stop: threading.Event) -> None:
    """Localize and answer until ``stop`` is set."""
    folder = DataFolder(data)
    with Subscriber(f"ipc://{runtime / 'frames.ipc'}") as subscriber, Jobs() as jobs:
        worker = Worker(folder, subscriber)

        def counters() -> Body:
            tally = worker.tally
            return {
                "localized_frames": tally.localized_frames,
                "localizations": tally.localizations,
                "late_blocks": tally.late_blocks,
                "failed_blocks": tally.failed_blocks,
                "malformed_messages": subscriber.malformed,
            }

        answerer = Answerer(jobs, Closer(folder, worker), counters, Facts(folder))
        with QuestionServer(f"ipc://{runtime / 'localizer.ipc'}", answerer):
            log.info("localizer is ready for %s", data)
            worker.run(stop)
    log.info("localizer stopped")


def yield_to_acquisition() -> None:
    """Let the camera's process have the processor first.

    Lag is made up for after a burst; a frame that nobody fetched is lost.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="python -m her2sr_proc.live", description=__doc__
    )
    parser.add_argument("--data", type=Path, help="folder that holds the runs")
    parser.add_argument("--runtime", type=Path, help="folder of the sockets")
    parser.add_argument("--warm", action="store_true", help="compile kernels and exit")
    options = parser.parse_args()
    logs.start("localizer")
    keep_freed_memory()
    if not options.warm and not (options.data and options.runtime):
        parser.error("give --data and --runtime, or --warm")
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()
        # A second signal means: now.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    end_with_starter()
    yield_to_acquisition()
    warm(partial(_tell_warming, time.monotonic()))
    if options.warm:
        warm_cleaning()
    else:
        serve(options.data, options.runtime, stop)


def _tell_warming(began: float, step: int, what: str) -> None:
    """Log which kernels come next: compiled once on a machine, then read from disk."""
    log.info(
        "making kernels ready, step %d of %d (%s), after %.0f s; the first start on a "
        "machine compiles them, which takes minutes",
        step,
        STEPS,
        what,
        time.monotonic() - began,
    )


if __name__ == "__main__":
    main()
