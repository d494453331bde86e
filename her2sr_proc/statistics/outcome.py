"""What a test of significance says, with all that is needed to judge it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Exactness = Literal["exact", "asymptotic"]
LEVEL = 0.05
"""What is called significant; the paper's level too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A two-sided test: its p-value, and how it came about."""

    method: str
    exactness: Exactness
    p: float
    n: tuple[int, ...]
    """Values used: one number a group, one for pairs, one for a table."""
    statistic_name: str = ""
    statistic: float | None = None
    zeros: int = 0
    """Pairs without a difference; they are not among ``n``."""
    ties: int = 0
    """Values that share their rank with another."""
    continuity: bool | None = None
    """Whether a continuity correction was made; None where there is none to make."""
    left_out: int = 0
    """Samples without a value; they are not among ``n``."""
    remarks: tuple[str, ...] = ()

    @property
    def n_text(self) -> str:
        """The numbers of values used, as a reader wants them."""
        return " + ".join(str(count) for count in self.n)

    @property
    def exactness_text(self) -> str:
        """Exact or asymptotic, and what was done about continuity."""
        if self.continuity is None:
            return self.exactness
        how = "with" if self.continuity else "without"
        return f"{self.exactness}, {how} continuity correction"

    def describe(self) -> str:
        """Return the whole outcome as one line."""
        parts = [f"{self.method}, two-sided, {self.exactness_text}"]
        if self.statistic is not None:
            parts.append(f"{self.statistic_name} = {self.statistic:.6g}")
        parts += [
            f"p = {self.p:.4g}",
            f"n = {self.n_text}",
            f"zeros {self.zeros}",
            f"ties {self.ties}",
        ]
        if self.left_out:
            parts.append(f"left out for want of a value {self.left_out}")
        return "; ".join([*parts, *self.remarks])
