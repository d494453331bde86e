"""When a run may end before its last field: by its counts, never its answer. Pure.

Whoever stops when the answer looks clear answers wrongly, near a boundary in 13 to 41 %
of the runs (docs/scoring.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

from pydantic import Field, model_validator

from her2sr_acq.errors import PlanRejectedError
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.model import Frozen

FORBIDDEN = (
    "group",
    "group_probability",
    "group_probabilities",
    "probability",
    "outcome",
    "status",
    "ratio",
)
AREAS = 2


class StopPlan(Frozen):
    """What ends a run early, looked at only when so many nuclei have been counted."""

    nuclei: int | None = Field(
        default=None, ge=1, le=100_000, description="at least so many scorable ones"
    )
    width: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="at most, of the 95 % interval of the ratio; with 'nuclei', both",
    )
    looks: tuple[int, ...] = Field(
        default=(),
        max_length=10,
        description="scorable nuclei at which is looked; default: at 'nuclei' alone",
    )
    areas_apart_um: float = Field(
        default=200.0,
        gt=0,
        le=50_000,
        description="fields so far from each other are separate areas; two are needed",
    )

    @model_validator(mode="before")
    @classmethod
    def _never_on_the_answer(cls, data: Any) -> Any:  # noqa: ANN401 - as in the file
        for key in FORBIDDEN if isinstance(data, dict) else ():
            if key in data:
                raise ValueError(
                    f"a run may not stop on '{key}': whoever stops when the answer "
                    f"looks clear answers wrongly near a boundary; give 'nuclei' or "
                    f"'width', and 'looks'"
                )
        return data

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.nuclei is None and self.width is None:
            raise ValueError("give 'nuclei' or 'width'")
        if self.width is not None and not self.looks:
            raise ValueError("with 'width', give 'looks', such as [20, 40, 80]")
        if any(look < 1 for look in self.looks) or any(
            second <= first for first, second in pairwise(self.looks)
        ):
            raise ValueError("'looks' are numbers of nuclei that grow")
        if self.nuclei is not None and self.looks and self.looks[-1] < self.nuclei:
            raise ValueError(
                f"no look comes at {self.nuclei} nuclei or later, so that the run "
                f"would never stop; add {self.nuclei} to 'looks'"
            )
        return self

    @property
    def places(self) -> tuple[int, ...]:
        """The numbers of nuclei at which is looked."""
        return self.looks or (self.nuclei or 1,)


def separate_areas(places_um: list[tuple[float, float]], apart_um: float) -> int:
    """Return how many of the places lie so far from each other, taken in order."""
    chosen: list[tuple[float, float]] = []
    for x, y in places_um:
        if all((x - a) ** 2 + (y - b) ** 2 >= apart_um**2 for a, b in chosen):
            chosen.append((x, y))
    return len(chosen)


def check_stop(plan: StopPlan | None, tiles: tuple[FieldFacts, ...]) -> None:
    """Raise `PlanRejectedError` for a rule that no fields of the plan could meet."""
    if plan is None:
        return
    low, high = (
        [bound(getattr(tile, axis) for tile in tiles) for axis in ("x_um", "y_um")]
        for bound in (min, max)
    )
    across = sum((b - a) ** 2 for a, b in zip(low, high, strict=True)) ** 0.5
    if across < plan.areas_apart_um:
        raise PlanRejectedError(
            f"stop_when asks for {AREAS} areas {plan.areas_apart_um:g} um apart, and "
            f"the fields lie within {across:.0f} um; take fields further apart, or "
            f"lower stop_when.areas_apart_um"
        )
