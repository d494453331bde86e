"""What the engine asks of the localizer for one run, and what if that is silent.

The acquisition never waits for the localizer. What could not be asked is asked again
later; what a restarted localizer has forgotten is asked anew, since every job may be
done twice. In the end there is a deadline, and a sentence that names the way out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.enquiry import Ask, Enquiry
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.stream.envelope import Answer, Body, ask
from her2sr_proc.schema.block import UnitKey

POLL_S = 0.1
SILENT = "the localizer does not answer"


class Status(BaseModel):
    """What the localizer says of its jobs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    queued: int = 0
    done: frozenset[str] = frozenset()
    failed: dict[str, str] = Field(default_factory=dict)
    localized_frames: int = 0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the localizer may be silent, idle or forgetful."""

    answer_s: float = 2.0
    retry_s: float = 15.0
    """Between two attempts to ask a silent localizer while the acquisition goes on."""
    silent_s: float = 45.0
    """Without any answer, at the end; a restart takes a fraction of it."""
    forgotten_s: float = 2.0
    """Answering, with nothing queued and a job unknown: it may have been restarted."""
    idle_s: float = 900.0
    """Answering, but without progress: longer than the longest job of a large run."""


@dataclass(slots=True)
class _Job:
    verb: str
    body: Body
    ids: set[str] = field(default_factory=set)
    """Every id it was ever given: one of them being done is enough."""
    is_asked: bool = False
    is_done: bool = False


class Processing:
    """The jobs of one run at the localizer. Used by the engine's thread alone."""

    def __init__(
        self,
        address: str,
        clock: Clock,
        *,
        ask: Ask = ask,
        patience: Patience | None = None,
    ) -> None:
        self._address = address
        self._clock = clock
        self._ask = ask
        self._patience = patience or Patience()
        self._jobs: list[_Job] = []
        self._refusal = ""
        self._quiet_until = clock.monotonic()

    def enquiry(self, sleep: Callable[[float], None]) -> Enquiry:
        """Return what asks the same localizer for numbers."""
        return Enquiry(self._address, self._clock, sleep, self._ask)

    def close_unit(self, key: UnitKey) -> None:
        """Ask for the table and the images of a unit."""
        self._add(_Job("close_unit", {"unit": key.model_dump(mode="json")}))

    def close_field(self, run: str, name: str) -> None:
        """Ask for the nuclei and the counts of a field."""
        self._add(_Job("close_field", {"run": run, "field": name}))

    def close_run(self, run: str) -> None:
        """Ask for the answer and the report of a run."""
        self._add(_Job("close_run", {"run": run}))

    def finish(
        self, folder: Path, stop: threading.Event, tell: Callable[[str], None]
    ) -> str:
        """Wait until every job is done; return why not all of them are, or nothing."""
        why = self._wait(stop, tell)
        if not why:
            return ""
        return f"processing is incomplete ({why}): run `her2sr process {folder}`"

    def _wait(self, stop: threading.Event, tell: Callable[[str], None]) -> str:
        heard = moved = self._clock.monotonic()
        before: Status | None = None
        while True:
            self._send()
            status = self._status()
            now = self._clock.monotonic()
            if status is not None:
                heard = now
                moved = moved if status == before else now
                before = status
                left = self._left(status)
                if not left:
                    return self._first_failure(status)
                tell(f"processing, {len(left)} of {len(self._jobs)} steps left")
                if not status.queued and now - moved > self._patience.forgotten_s:
                    _ask_anew(left)
            if now - heard > self._patience.silent_s:
                return SILENT
            if self._refusal and now - moved > self._patience.silent_s:
                return self._refusal
            if now - moved > self._patience.idle_s:
                return "the localizer makes no progress"
            if stop.wait(POLL_S):
                return "stopped on request"

    def _left(self, status: Status) -> list[_Job]:
        for job in self._jobs:
            job.is_done = job.is_done or bool(job.ids & status.done)
        return [
            job
            for job in self._jobs
            if not job.is_done and not job.ids & status.failed.keys()
        ]

    def _add(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._clock.monotonic() >= self._quiet_until and not self._send():
            self._quiet_until = self._clock.monotonic() + self._patience.retry_s

    def _send(self) -> bool:
        """Ask for what was not asked yet, in order; tell whether all was taken."""
        for job in self._jobs:
            if job.is_asked:
                continue
            answer = self._question(job.verb, job.body)
            if answer is None:
                return False
            if not answer.ok:
                reason = answer.error.message if answer.error else "no reason given"
                self._refusal = f"the localizer refused {job.verb}: {reason}"
                return False
            self._refusal = ""
            job.ids.add(str(answer.body.get("job")))
            job.is_asked = True
        return True

    def _status(self) -> Status | None:
        answer = self._question("status", {})
        if answer is None or not answer.ok:
            return None
        try:
            return Status.model_validate(answer.body)
        except ValidationError:
            return None

    def _question(self, verb: str, body: Body) -> Answer | None:
        try:
            return self._ask(
                self._address, verb, body, deadline_s=self._patience.answer_s
            )
        except ServiceUnavailableError:
            return None

    def _first_failure(self, status: Status) -> str:
        for job in self._jobs:
            names = job.ids & status.failed.keys()
            if names and not job.is_done:
                return f"{job.verb} failed: {status.failed[min(names)]}"
        return ""


def _ask_anew(jobs: list[_Job]) -> None:
    for job in jobs:
        job.is_asked = False
