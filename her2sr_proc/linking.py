"""Blinks of one molecule that lasted several frames, merged into one row.

Knows tables; no files.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from her2sr_proc.schema.table import Localizations, require_places

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


def link(table: Localizations, *, distance_nm: float, gap: int) -> Localizations:
    """Return a table with one row a molecule's stay in the light.

    A localization belongs to the row that it is nearest to, if that was seen last at
    most ``gap`` dark frames before and within ``distance_nm`` of its last place; pairs
    are taken nearest first, one to one.

    Returns
    -------
    Localizations
        Position: mean weighted by the inverse squares of the uncertainties, which the
        new uncertainties follow. Photons: summed. Frame: the first; column
        ``last_frame``: the last; ``detections``: how many, also where rows are
        molecules that were linked before. Width, background and its noise: means.
        Log-likelihood: summed. Status: the highest. Rows that know no uncertainty do
        not weigh beside those that do; alone, they weigh alike.

    Raises `TableError` for a row without a position.
    """
    require_places(table)
    order = np.lexsort((table["x_nm"], table["frame"]))
    table = table.take(order)
    if len(table) == 0:
        return _merged(table, np.empty(0, np.int64))
    frame = table["frame"].astype(np.int64)
    last = table.columns.get("last_frame", table["frame"]).astype(np.int64)
    where = np.column_stack([table["x_nm"], table["y_nm"]]).astype(np.float64)
    return _merged(table, _groups(frame, last, where, distance_nm, gap))


def _groups(frame: I64, last: I64, where: F64, distance_nm: float, gap: int) -> I64:
    """Return the number of the group of every row, lit from ``frame`` to ``last``."""
    group = np.empty(len(frame), np.int64)
    starts = np.flatnonzero(np.diff(frame, prepend=frame[0] - 1))
    bounds = np.append(starts, len(frame))
    open_rows = np.empty(0, np.int64)  # the last row of every group that may go on
    count = 0
    for start, end in pairwise(bounds):
        rows = np.arange(start, end)
        now = frame[start]
        open_rows = open_rows[last[open_rows] >= now - 1 - gap]
        dark = np.flatnonzero(last[open_rows] < now)  # one still lit is another one
        own, theirs = _pairs(where[open_rows[dark]], where[rows], distance_nm)
        own = dark[own]
        group[rows] = -1
        group[rows[theirs]] = group[open_rows[own]]
        fresh = rows[group[rows] < 0]
        group[fresh] = count + np.arange(fresh.size)
        count += fresh.size
        goes_on = np.ones(open_rows.size, np.bool_)
        goes_on[own] = False
        open_rows = np.concatenate([open_rows[goes_on], rows])
    return group


def _pairs(before: F64, now: F64, reach: float) -> tuple[I64, I64]:
    """Return the pairs within reach, the nearest first, each point once."""
    none = np.empty(0, np.int64)
    if not (len(before) and len(now)):
        return none, none
    near = cKDTree(before).sparse_distance_matrix(
        cKDTree(now), reach, output_type="ndarray"
    )
    own: dict[int, int] = {}
    taken: set[int] = set()
    for i, j, _ in np.sort(near, order=("v", "i", "j")).tolist():
        if i not in own and j not in taken:
            own[i] = j
            taken.add(j)
    return np.array(list(own), np.int64), np.array(list(own.values()), np.int64)


def _merged(table: Localizations, group: I64) -> Localizations:
    count = int(group.max()) + 1 if group.size else 0

    def total(values: npt.NDArray[np.generic]) -> F64:
        sums = np.bincount(group, values.astype(np.float64), count)
        return sums.astype(np.float64)

    rows = np.bincount(group, minlength=count)
    ends = table.columns.get("last_frame", table["frame"])
    seen = table.columns.get("detections", np.ones(len(table)))
    first = np.full(count, np.iinfo(np.int64).max)
    last, status = np.full((2, count), -1)
    np.minimum.at(first, group, table["frame"])
    np.maximum.at(last, group, ends)
    np.maximum.at(status, group, table["status"])
    numbers = [n for n, a in table.columns.items() if a.dtype.kind in "fiu"]
    means = {name: total(table[name]) / rows for name in numbers}
    for axis in ("x", "y"):
        weight = _weights(table[f"uncertainty_{axis}_nm"].astype(np.float64))
        is_unknown = total(weight) == 0.0
        weight[is_unknown[group]] = 1.0
        place = table[f"{axis}_nm"].astype(np.float64)
        means[f"{axis}_nm"] = total(weight * place) / total(weight)
        bound = total(weight) ** -0.5
        means[f"uncertainty_{axis}_nm"] = np.where(is_unknown, np.nan, bound)
    both = means["uncertainty_x_nm"] ** 2 + means["uncertainty_y_nm"] ** 2
    means |= {
        "uncertainty_nm": np.sqrt(both / 2.0),
        "photons": total(table["photons"]),
        "log_likelihood": total(table["log_likelihood"]),
        "frame": first.astype(np.float64),
        "status": status.astype(np.float64),
    }
    out = {name: means[name].astype(table[name].dtype) for name in numbers}
    out["last_frame"] = last.astype(np.int32)
    out["detections"] = total(seen).astype(np.int32)
    return Localizations(out)


def _weights(sd_nm: F64) -> F64:
    """Return inverse squares; 0 for what is no uncertainty and so says nothing."""
    is_known = np.isfinite(sd_nm) & (sd_nm > 0.0)
    return np.where(is_known, np.where(is_known, sd_nm, 1.0) ** -2.0, 0.0)
