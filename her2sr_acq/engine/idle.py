"""Work for hours in which nobody measures: a process that is killed when a run starts.

Decides when, and knows nothing of what is done. Off unless the configuration says so.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import psutil

from her2sr_acq.child import Child, ChildSpec
from her2sr_acq.config_storage import IdleConfig
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

AT_ONCE = ((signal.SIGKILL, 5.0),)
"""What is killed has lost nothing, and nobody waits for it."""
MEASURE_S = 10.0
"""Over so long the load is taken; a shorter moment is always busy."""
MOST_KILLS = 3
"""So often in a row it may be killed before it waits for the next run."""


class Idle:
    """Starts one process when a microscope has rested; any thread may end it.

    ``look`` is called again and again; ``make_way`` returns when nothing of it runs.
    """

    def __init__(
        self,
        config: IdleConfig | None,
        data: DataFolder,
        *,
        clock: Callable[[], float],
        busy: Callable[[], float] = lambda: psutil.cpu_percent(None),
        command: Sequence[str] = (),
    ) -> None:
        """Prepare. ``busy``: percent of all processors since it was called before."""
        self._config = config
        self._clock = clock
        self._busy = busy
        self._child = Child(
            ChildSpec(
                name="idle",
                command=tuple(command) or _command(data.root),
                is_ready=lambda: True,
                ready_within_s=0.0,
                restarts=0,
                niceness=19,
            ),
            environment=os.environ,
            logs=data.logs,
            steps=AT_ONCE,
        )
        self._lock = threading.Lock()
        self._since = self._measured = clock()
        self._is_running = False
        self._is_done = False
        self._kills = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.make_way()

    @property
    def pid(self) -> int | None:
        """The process's id; None while it does not run, as `look` saw it last."""
        return self._child.pid if self._is_running else None

    def look(self, *, is_free: bool) -> None:
        """Start the process if nothing has happened for long enough.

        ``is_free``: no run has the microscope; the caller sees to it that none begins
        meanwhile.
        """
        if self._config is None:
            return
        with self._lock:
            if self._is_running:
                self._reap()
            elif not is_free:
                self._rest_anew()
            elif not self._is_done and self._has_rested(self._config):
                log.info("nobody measures: finished runs are coded anew")
                self._child.start()
                self._is_running = True

    def _has_rested(self, config: IdleConfig) -> bool:
        now = self._clock()
        if now - self._measured < MEASURE_S:
            return False
        self._measured = now
        if self._busy() > config.load_percent:
            self._since = now
        return now - self._since >= config.after_min * 60

    def make_way(self) -> None:
        """Kill the process, if it runs; it goes on after the next rest."""
        with self._lock:
            self._rest_anew()
            if self._is_running:
                self._child.stop()
                self._is_running = False

    def _rest_anew(self) -> None:
        self._since, self._is_done, self._kills = self._clock(), False, 0

    def _reap(self) -> None:
        """See whether the process has ended; there is no more to do till a run ends.

        One that was killed, as for want of memory, goes on after the next rest, unless
        that has befallen it several times in a row.
        """
        code = self._child.exit_code
        if code is None:
            return
        if code:
            log.warning("%s", self._child.obituary())
        self._child.stop()
        self._kills = self._kills + 1 if code < 0 else 0
        self._since = self._clock()
        self._is_running, self._is_done = False, self._kills in (0, MOST_KILLS)


def _command(data: Path) -> tuple[str, ...]:
    module = "her2sr_proc.offline.idle"
    return (sys.executable, "-m", module, "--data", str(data))
