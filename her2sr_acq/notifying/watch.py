"""Works out from looks at the hardware process what people are to be told. No I/O."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from her2sr_acq.config_notify import NoticeKind
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import Health, RunView
from her2sr_acq.notifying.notice import LONGEST_DETAIL, Notice
from her2sr_proc.schema.model import Frozen

BYTES_PER_GB = 10**9
EASED = 1.1
"""So much more than the limit must be free before low disk is told again."""
SILENT_LOOKS = 5
"""Looks without an answer in a row, before the hardware process counts as gone."""
_KINDS: dict[RunState, NoticeKind] = {
    RunState.RUNNING: "start",
    RunState.PAUSED: "pause",
    RunState.COMPLETED: "finish",
    RunState.COMPLETED_WITH_FAULTS: "finish",
    RunState.ABORTED: "finish",
    RunState.FAULTED: "fault",
    RunState.INTERRUPTED: "fault",
}


class Seen(Frozen):
    """What was told already; kept on disk, so that a restart tells nothing twice."""

    version: Literal[1] = 1
    is_first: bool = Field(default=True, description="nothing was ever looked at")
    states: dict[str, RunState] = Field(default_factory=dict)
    latched: str = ""
    is_low: bool = False
    is_silent: bool = False


class Watch:
    """Compares each look with what was told. Used by one thread."""

    def __init__(
        self,
        seen: Seen,
        *,
        low_disk_gb: float,
        now: Callable[[], datetime],
        make_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.seen = seen
        self._low_bytes = low_disk_gb * BYTES_PER_GB
        self._now, self._make_id = now, make_id
        self._microscope = "microscope"
        self._silent = 0

    def look(self, health: Health, runs: Sequence[RunView]) -> list[Notice]:
        """Return what is new. Runs that were over at the very first look are not."""
        self._microscope = health.configuration
        self._silent = 0
        seen = self.seen
        found = [*self._runs(runs), *self._latch(health), *self._disk(health)]
        self.seen = Seen(
            is_first=False,
            states={run.id: run.state for run in runs},
            latched=health.latched,
            is_low=self._is_low(health, was=seen.is_low),
        )
        return found

    def silence(self, why: str) -> list[Notice]:
        """Note that the hardware process gave no answer; return what is to be told."""
        self._silent += 1
        if self._silent != SILENT_LOOKS or self.seen.is_silent:
            return []
        self.seen = self.seen.model_copy(update={"is_silent": True})
        return [self._notice("fault", why)]

    def _runs(self, runs: Sequence[RunView]) -> Iterable[Notice]:
        for run in reversed(runs):
            before = self.seen.states.get(run.id)
            if run.state is before or run.state not in _KINDS:
                continue
            if self.seen.is_first and run.state in FINAL:
                continue
            kind = _KINDS[run.state]
            if kind == "start" and before is RunState.PAUSED:
                continue  # it goes on: whoever resumed it knows
            yield self._notice(kind, run.reason, run)

    def _latch(self, health: Health) -> Iterable[Notice]:
        if health.latched and health.latched != self.seen.latched:
            yield self._notice("fault", f"no light until rearmed: {health.latched}")

    def _disk(self, health: Health) -> Iterable[Notice]:
        if self._is_low(health, was=False) and not self.seen.is_low:
            free = health.free_bytes / BYTES_PER_GB
            yield self._notice("low_disk", f"{free:.1f} GB are free for frames")

    def _is_low(self, health: Health, *, was: bool) -> bool:
        return health.free_bytes < self._low_bytes * (EASED if was else 1.0)

    def _notice(
        self, kind: NoticeKind, detail: str, run: RunView | None = None
    ) -> Notice:
        return Notice(
            id=self._make_id(),
            kind=kind,
            microscope=self._microscope,
            run=run.id if run else None,
            state=run.state.value if run else "",
            detail=detail[:LONGEST_DETAIL],
            at=self._now(),
        )
