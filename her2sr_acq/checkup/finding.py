"""One line of what the doctor found."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    is_good: bool
    detail: str
    is_note: bool = False
    """Told because nobody has checked it; no fault."""

    @property
    def mark(self) -> str:
        """The word before its line."""
        if not self.is_good:
            return "FAIL"
        return "note" if self.is_note else "ok"

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)
