"""The hardware process as the guard's child: started, killed, counted; no light."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from her2sr_acq.child import Child, ChildSpec

NAME = "acq"
AFTER_CRASH = "--after-crash"
REAP_S = 0.2
MAX_IN_A_ROW = 4
"""Deaths without light in between. Three times a run goes on; the fourth start is one
that leaves the run to a person, so that the service stands in the morning."""
MAX_DEATHS = 30


class Acq:
    """One acq at a time, and how many have died."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        logs: Path,
        note_pid: Callable[[int], None],
    ) -> None:
        """``note_pid`` is told of every process started, for the guard's successor."""
        self._note_pid = note_pid
        self._command = tuple(command)
        self._environment = environment
        self._logs = logs
        self._child: Child | None = None
        self.deaths = 0
        self.in_a_row = 0
        self._by_order = 0

    def start(self) -> None:
        """Start it; after a death it is told of how many."""
        crashed = (AFTER_CRASH, str(self.in_a_row)) if self.in_a_row else ()
        spec = ChildSpec(
            name=NAME,
            command=(*self._command, *crashed),
            is_ready=lambda: True,
            ready_within_s=0.0,
            restarts=0,
        )
        self._child = Child(
            spec,
            environment=self._environment,
            logs=self._logs,
            steps=((signal.SIGKILL, REAP_S),),
        )
        self._child.start()
        if self._child.pid is not None:
            self._note_pid(self._child.pid)

    @property
    def pid(self) -> int | None:
        """Its id, while it lives."""
        return self._child.pid if self._child and self.is_alive else None

    @property
    def exit_code(self) -> int | None:
        """How the last one ended; None: it lives, or none was started."""
        return self._child.exit_code if self._child else None

    @property
    def is_alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.exit_code is None

    def ask_to_end(self) -> None:
        """Ask it to end in order."""
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def leave(self) -> None:
        """Let it end as one whose starter is gone: its run is left to the next."""
        if self._child is not None:
            self._child.let_go()

    def kill(self) -> None:
        """End it and whatever it has forked, which would hold its ports."""
        if (pid := self.pid) is not None:  # asked once: it may end between two looks
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if self._child is not None:
            self._child.stop()

    def obituary(self) -> str:
        """Return one sentence on how it ended."""
        return self._child.obituary() if self._child else "acq was not started"

    def last_words(self) -> str:
        """Return the last line of its log."""
        return self._child.last_words() if self._child else ""

    def count_death(self, *, by_order: bool = False) -> None:
        """Take note that it ended without being asked.

        ``by_order``: it was killed for an e-stop. Somebody who presses again and again
        while it starts would otherwise end the service: such deaths make nothing
        hopeless, only the next start a careful one.
        """
        self.deaths += 1
        self._by_order += by_order
        self.in_a_row += 1
        if by_order:
            self.in_a_row = min(self.in_a_row, MAX_IN_A_ROW)

    def count_light(self) -> None:
        """Take note that light was given and given back: it works."""
        self.in_a_row = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether another start is not worth it."""
        failures = self.deaths - self._by_order
        return self.in_a_row > MAX_IN_A_ROW or failures > MAX_DEATHS
