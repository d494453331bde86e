"""One process of the service: started, found ready, and stopped in steps.

Knows nothing of what the process does.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from her2sr_acq.errors import ConfigError, ServiceUnavailableError
from her2sr_proc.lifeline import VARIABLE

log = logging.getLogger(__name__)

STEPS = ((signal.SIGTERM, 10.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
"""Ask, insist, kill; and how long each may take."""
LOG_TAIL_BYTES = 4096
POLL_S = 0.1
STEADY_S = 3600.0
"""A life so long is no part of a row of deaths: a service runs for months."""
TELL_S = 10.0
"""Who waits longer than this wants to know for what."""
FORMER_S = 15.0
"""After a service was killed its simulated microscope stays for 12 s."""
WRONG_REQUEST = 2
"""The exit code by which every process says that it was asked for the impossible."""
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \S+ [A-Z]+ \S+: ")
"""What logging puts before a sentence."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to start and how to know that it works."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    ready_within_s: float
    restarts: int
    """How often in a row it may be started again; 0: its death ends the service."""
    niceness: int = 0
    """How far it steps back for others where processors are short."""


class Child:
    """A running process. Whoever calls `start` owns the call of `stop`."""

    def __init__(
        self,
        spec: ChildSpec,
        *,
        environment: Mapping[str, str],
        logs: Path,
        steps: Sequence[tuple[signal.Signals, float]] = STEPS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.restarts = 0
        """Since it last lived for `STEADY_S`."""
        self._clock = clock
        self._started_at = clock()
        self.log = logs / f"{spec.name}.log"
        self._log_from = 0
        """Bytes of the log that stood there before this process began to write."""
        self._environment = {**environment, VARIABLE: "1"}
        self._steps = steps
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; its output is appended to its log.

        It leads a session of its own, so that Ctrl-C reaches the launcher alone and
        everything is stopped in order. Its standard input stays open as long as the
        launcher lives, and tells it when that is gone.
        """
        self.let_go()
        self._started_at = self._clock()
        with self._output() as output:
            self._log_from = output.tell() if output.seekable() else 0
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        if self.spec.niceness:
            # of its first thread, before it has others: they inherit it
            ours = os.getpriority(os.PRIO_PROCESS, 0)
            with suppress(OSError):
                os.setpriority(
                    os.PRIO_PROCESS, self._process.pid, ours + self.spec.niceness
                )

    def forgive(self) -> None:
        """Forget the restarts of a process that has lived long since the last one."""
        if self._clock() - self._started_at >= STEADY_S:
            self.restarts = 0

    def _output(self) -> IO[bytes]:
        """Open the log; where that fails the process speaks to nobody, but runs.

        A folder that was removed, a disk that is full or read-only is no reason to
        leave the microscope alone.
        """
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            return self.log.open("ab")
        except OSError as exc:
            log.warning("%s has no log now: %s", self.spec.name, exc)
            return Path(os.devnull).open("ab")

    @property
    def exit_code(self) -> int | None:
        """The process's exit code, or None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """The process's id, or None before it started."""
        return None if self._process is None else self._process.pid

    def is_ready(self) -> bool:
        """Return whether it works.

        Raises `ConfigError` if it has ended because the request was wrong,
        `ServiceUnavailableError` if it has ended for another reason.
        """
        if self.exit_code == WRONG_REQUEST:
            raise ConfigError(self.obituary(), process=self.spec.name)
        if self.exit_code is not None:
            raise ServiceUnavailableError(self.obituary(), process=self.spec.name)
        return self.spec.is_ready()

    def await_former(self) -> None:
        """Return once what a killed service left of this kind is gone, before `start`.

        It would be taken for this one, and end a moment later. Whatever stays longer
        than `FORMER_S` is named by the process that is refused beside it.
        """
        began = self._clock()
        while self.spec.is_ready() and self._clock() - began < FORMER_S:
            time.sleep(POLL_S)

    def await_ready(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Return once it works. Raises as `is_ready`, and if it takes too long.

        ``tell`` hears every `TELL_S` what is waited for, and the last line of its log.
        """
        began = told = time.monotonic()
        while not self.is_ready():
            now = time.monotonic()
            if now - told >= TELL_S:
                told = now
                tell(
                    f"waiting for the {self.spec.name} process, {now - began:.0f} s: "
                    f"{self.last_words() or 'it has said nothing yet'}"
                )
            if now - began > self.spec.ready_within_s:
                raise ServiceUnavailableError(
                    f"the {self.spec.name} process does not answer after "
                    f"{self.spec.ready_within_s:g} s; its log is {self.log}",
                    process=self.spec.name,
                )
            time.sleep(POLL_S)

    def obituary(self) -> str:
        """Return one sentence on how the process ended, with its last words.

        Whoever was killed said nothing of it: what it wrote last is no cause.
        """
        code = self.exit_code
        if code is not None and code < 0:
            end = f"was killed by {_signal_name(-code)}"
        else:
            last = self.last_words()
            end = f"ended with code {code}" + (f": {last}" if last else "")
        return f"the {self.spec.name} process {end} (its log is {self.log})"

    def last_words(self) -> str:
        """Return its last line of the log, without what logging puts before it.

        Empty where it wrote none, and where the log cannot be read: who asks has a
        light to put out.
        """
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                # a log shorter than it was has been rotated: all of it is ours
                begins = self._log_from if self._log_from <= size else 0
                file.seek(max(begins, size - LOG_TAIL_BYTES))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return _PREFIX.sub("", lines[-1].strip()) if lines else ""

    def stop(self) -> None:
        """Ask the process to end, insist, kill. Safe to call twice."""
        try:
            self._end()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Let it end as a process does whose starter is gone. Safe to call twice."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        for signum, wait_s in self._steps:
            if process.poll() is not None:
                return
            process.send_signal(signum)
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # those of real time have none
        return f"signal {number}"
