"""The counted nuclei of one arm as arrays, checked once. Knows no files, no images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError
from her2sr_proc.scoring.groups import Totals

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
REGIONS = ("unmarked", "invasive", "normal", "other")
"""Names of the codes in `Sample.region`, in order."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Accepted nuclei of one arm; every array has shape (nuclei,).

    What an arm does not know stays None: no fields, no marks, no limits of the counter.
    """

    her2: I64
    cep17: I64
    field: I64 | None = None
    """Code of the field; nuclei of a field share focus, thickness and hybridization."""
    visit: I64 | None = None
    """Rank of the nucleus's field in the order of the visits."""
    distance_um: F64 | None = None
    """From the centre of the field."""
    region: I64 | None = None
    """Code of `REGIONS`; None: all are invasive by what they are (simulated truth)."""
    area: I64 | None = None
    """Code of the marked area; None: each field is an area."""
    her2_low: I64 | None = None
    her2_high: I64 | None = None
    cep17_low: I64 | None = None
    cep17_high: I64 | None = None
    ambiguous: Mask | None = None

    def __post_init__(self) -> None:
        n = len(self.her2)
        for entry in fields(self):
            array = getattr(self, entry.name)
            if array is not None and array.shape != (n,):
                raise DataError(
                    f"'{entry.name}' has {array.shape} values for {n} nuclei; give one "
                    f"a nucleus"
                )
        if n and min(int(self.her2.min()), int(self.cep17.min())) < 0:
            raise DataError("a nucleus has fewer than 0 signals; correct its counts")

    def __len__(self) -> int:
        return len(self.her2)

    @property
    def totals(self) -> Totals:
        """Sums over all nuclei of the sample."""
        return Totals(int(self.her2.sum()), int(self.cep17.sum()), len(self))

    @property
    def is_marked(self) -> bool:
        """Whether a person said of any nucleus what it is."""
        return self.region is None or bool((self.region > 0).any())

    def take(self, rows: Mask | I64) -> Sample:
        """Return the sample of some nuclei."""
        values: dict[str, Any] = {e.name: getattr(self, e.name) for e in fields(self)}
        kept: dict[str, Any] = {
            k: None if v is None else v[rows] for k, v in values.items()
        }
        return Sample(**kept)

    def of_region(self, name: str) -> Sample:
        """Return the nuclei marked with a region; all where marks do not apply."""
        if self.region is None:
            return self if name == "invasive" else self.take(np.zeros(len(self), bool))
        return self.take(self.region == REGIONS.index(name))

    @property
    def both_colours(self) -> Sample:
        """Return the nuclei with at least one signal of each colour."""
        return self.take((self.her2 > 0) & (self.cep17 > 0))


def codes(names: Sequence[str]) -> I64:
    """Return whole numbers for names, in order of first appearance."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)
