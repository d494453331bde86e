"""A localizer that answers as the real one does, without localizing anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.stream.envelope import Answer, Fault


@dataclass
class FakeLocalizer:
    """Stands in for `envelope.ask`."""

    silent: bool = False
    refuses: str = ""
    fails: str = ""
    """A verb whose jobs fail."""
    forgets_once: bool = False
    stalls: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    """Localizations by field."""
    nuclei: dict[str, tuple[int, float]] | None = None
    """Nuclei and their share of a tile of an overview, by field; None: not told."""
    asked: list[tuple[str, dict]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __call__(self, address, verb, body, *, deadline_s):
        if self.silent:
            raise ServiceUnavailableError("no answer")
        if verb == "status":
            return Answer(ok=True, body=self._status())
        if verb == "localizations":
            return self._localizations(body["unit"])
        if verb == "unit_summary":
            return self._summary(body["unit"])
        if verb == "overview_nuclei":
            return self._overview(body["field"])
        if self.refuses:
            return Answer(ok=False, error=Fault(code="bad-state", message=self.refuses))
        job = f"{len(self.asked):06d}-{verb}"
        self.asked.append((verb, body))
        if verb == self.fails:
            self.failed[job] = "no nuclei channel"
        elif not self.stalls:
            self.done.append(job)
        return Answer(ok=True, body={"job": job})

    def _overview(self, name):
        if self.nuclei is None:
            return Answer(ok=False, error=Fault(code="bad-state", message="no such"))
        count, share = self.nuclei.get(name, (0, 0.0))
        return Answer(ok=True, body={"done": True, "nuclei": count, "share": share})

    def _localizations(self, unit):
        """Say what a test lets it say of a field; else that nothing is known."""
        if unit["field"] not in self.counts:
            return Answer(ok=False, error=Fault(code="bad-state", message="not yet"))
        body = {"blocks": {"0": self.counts[unit["field"]]}, "written": 1}
        return Answer(ok=True, body=body)

    def _summary(self, unit):
        if unit["field"] not in self.counts:
            return Answer(ok=False, error=Fault(code="bad-state", message="not yet"))
        body = {"localizations": self.counts[unit["field"]], "frames": 40}
        return Answer(ok=True, body=body)

    def _status(self):
        if self.forgets_once:
            self.forgets_once = False
            self.done.clear()
        queued = len(self.asked) if self.stalls else 0
        return {
            "queued": queued,
            "done": list(self.done),
            "failed": dict(self.failed),
            "localized_frames": 0,
            "a_number_of_a_later_version": 1,
        }

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.asked]
