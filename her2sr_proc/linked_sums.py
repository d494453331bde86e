"""What linked rows add up to, so far; and the one row that follows from it.

Sums go on where they stood, row after row: the same additions in the same order as of
all rows at once, whatever parts the rows came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.table import Localizations

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Kinds = dict[str, np.dtype[np.generic]]
"""The columns of numbers, and as what each is stored."""
AXES = ("x", "y")


@dataclass(frozen=True, slots=True)
class LinkedSums:
    """Of several molecules; every array has one number for each."""

    totals: dict[str, F64]
    """By column; ``rows``, ``seen`` (detections) and, by axis, ``weight`` and
    ``weighted`` places behind a blank, which no column's name begins with."""
    first: I64
    last: I64
    status: I64

    @classmethod
    def none(cls) -> Self:
        """Return the sums of no molecule."""
        nothing = np.empty(0, np.int64)
        return cls({}, nothing, nothing, nothing)

    def take(self, which: I64 | Sequence[int]) -> LinkedSums:
        """Return those of some of the molecules.

        ``which``: mask or rows of the molecules.
        """
        at = np.asarray(which, np.int64)
        totals = {name: total[at] for name, total in self.totals.items()}
        return LinkedSums(totals, self.first[at], self.last[at], self.status[at])

    def plus(self, part: Localizations, group: I64, count: int) -> LinkedSums:
        """Return the sums with further rows.

        Parameters
        ----------
        part : Localizations
        group : int64 array, shape (rows,)
            The molecule of each row: one of these, or a new one after them.
        count : int
            Of molecules then.
        """
        held = len(self.first)
        everyone = np.concatenate([np.arange(held), group])

        def total(name: str, values: npt.NDArray[np.generic]) -> F64:
            carried = self.totals.get(name, np.zeros(held))
            whole = np.concatenate([carried, values.astype(np.float64)])
            return np.bincount(everyone, whole, count).astype(np.float64)

        def bounds(carried: I64, start: int) -> I64:
            wide = np.full(count, start, np.int64)
            wide[:held] = carried
            return wide

        first = bounds(self.first, np.iinfo(np.int64).max)
        last, status = bounds(self.last, -1), bounds(self.status, -1)
        np.minimum.at(first, group, part["frame"])
        np.maximum.at(last, group, part.columns.get("last_frame", part["frame"]))
        np.maximum.at(status, group, part["status"])
        totals = {
            name: total(name, array)
            for name, array in part.columns.items()
            if array.dtype.kind in "fiu"
        }
        ones = np.ones(len(part))
        totals[" rows"] = total(" rows", ones)
        totals[" seen"] = total(" seen", part.columns.get("detections", ones))
        for axis in AXES:
            weight = _weights(part[f"uncertainty_{axis}_nm"].astype(np.float64))
            place = part[f"{axis}_nm"].astype(np.float64)
            totals[f" weight {axis}"] = total(f" weight {axis}", weight)
            totals[f" weighted {axis}"] = total(f" weighted {axis}", weight * place)
        return LinkedSums(totals, first, last, status)

    def merged(self, kinds: Kinds) -> Localizations:
        """Return one row a molecule, in their order."""
        nothing = np.empty(0)
        rows = self.totals.get(" rows", nothing)
        sums = {name: self.totals.get(name, nothing) for name in kinds}
        means = {name: total / rows for name, total in sums.items()}
        for axis in AXES:
            weight = self.totals.get(f" weight {axis}", nothing)
            weighted = self.totals.get(f" weighted {axis}", nothing)
            is_unknown = weight == 0.0  # then rows weigh alike: the mean stands
            weight = np.where(is_unknown, 1.0, weight)
            place = means[f"{axis}_nm"]
            means[f"{axis}_nm"] = np.where(is_unknown, place, weighted / weight)
            bound = weight**-0.5
            means[f"uncertainty_{axis}_nm"] = np.where(is_unknown, np.nan, bound)
        both = means["uncertainty_x_nm"] ** 2 + means["uncertainty_y_nm"] ** 2
        means |= {
            "uncertainty_nm": np.sqrt(both / 2.0),
            "photons": sums["photons"],
            "log_likelihood": sums["log_likelihood"],
            "frame": self.first.astype(np.float64),
            "status": self.status.astype(np.float64),
        }
        out = {name: means[name].astype(kind) for name, kind in kinds.items()}
        seen = self.totals.get(" seen", nothing)
        out["last_frame"] = self.last.astype(np.int32)
        out["detections"] = seen.astype(np.int32)
        return Localizations(out)


def _weights(sd_nm: F64) -> F64:
    """Return inverse squares; 0 for what is no uncertainty and so says nothing."""
    is_known = np.isfinite(sd_nm) & (sd_nm > 0.0)
    return np.where(is_known, np.where(is_known, sd_nm, 1.0) ** -2.0, 0.0)
