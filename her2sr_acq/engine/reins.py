"""What others ask of a run in progress. Set from any thread, read by the engine's."""

from __future__ import annotations

import threading

from her2sr_acq.errors import AcqError


class Reins:
    """Pause, stop and trip of one run. Every call may be repeated."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.stopped = threading.Event()
        """Set once a stop was asked for, of whatever kind."""
        self._drops = False
        self._abandons = False
        self._pause = ""
        self._trip: AcqError | None = None

    def stop(self, *, drop: bool) -> None:
        """End the run: now, or after its burst. A drop overrules a finish."""
        with self._changed:
            self._drops = self._drops or drop
            self.stopped.set()
            self._changed.notify_all()

    def abandon(self) -> None:
        """Leave the run as a crash would: what is not taken stays planned."""
        with self._changed:
            self._abandons = True
        self.stop(drop=True)

    def pause(self, reason: str) -> None:
        """Hold the run before its next burst."""
        with self._changed:
            self._pause = self._pause or reason
            self._changed.notify_all()

    def resume(self) -> None:
        """Let a held run go on."""
        with self._changed:
            self._pause, self._trip = "", None
            self._changed.notify_all()

    def trip(self, cause: AcqError) -> None:
        """Say that the light was put out, and why; the burst is over."""
        with self._changed:
            self._trip = self._trip or cause
            self._pause = self._pause or str(cause)
            self._changed.notify_all()

    @property
    def drops_burst(self) -> bool:
        """Whether the burst in progress is to end at its next block."""
        return self._drops

    @property
    def abandons(self) -> bool:
        """Whether the run is to be left for another process to take up."""
        return self._abandons

    @property
    def pause_reason(self) -> str:
        """Why the run is to be held; empty: it is not."""
        return self._pause

    @property
    def tripped(self) -> AcqError | None:
        """Why the light was put out, if it was."""
        return self._trip

    def wait_while_paused(self, timeout_s: float) -> bool:
        """Wait a while; return whether the run is still held."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._pause or self.stopped.is_set(), timeout_s
            )
            return bool(self._pause) and not self.stopped.is_set()

    def rest(self, seconds: float) -> None:
        """Wait, unless a stop or a trip comes."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.stopped.is_set() or self._trip is not None, seconds
            )
