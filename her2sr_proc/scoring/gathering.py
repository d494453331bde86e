"""From rows of counts, with what people marked, to the arrays that are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.assessment import Evidence
from her2sr_proc.schema.counts import Region
from her2sr_proc.scoring.sample import REGIONS, Sample, codes
from her2sr_proc.store.counts_table import CountRow

F64 = npt.NDArray[np.float64]
Place = tuple[float, float]


def gather(
    rows: Sequence[CountRow],
    *,
    marks: Mapping[str, Region] | None = None,
    areas: Mapping[str, str] | None = None,
    centres: Mapping[str, Place] | None = None,
) -> Sample:
    """Return the accepted nuclei as a sample.

    Parameters
    ----------
    rows : sequence of CountRow
        In the order of the visits, unless rows carry their own; excluded nuclei too.
    marks, areas : mapping, optional
        Region and name of the marked area by field/nucleus; they overrule the rows'.
    centres : mapping, optional
        Centre of each field on the slide, in micrometres. Without, it is the middle of
        all nuclei found in the field.
    """
    marks, areas = marks or {}, areas or {}
    middles = centres or _middles(rows)
    accepted = [row for row in rows if not row.is_excluded]
    named = [areas.get(row.key, row.area) for row in accepted]
    is_drawn = any(named)
    named = [
        name or f"field {row.field}" for name, row in zip(named, accepted, strict=True)
    ]
    fields = codes([row.field for row in accepted])
    has_limits = bool(accepted) and all(row.limits for row in accepted)
    limits = np.array([r.limits for r in accepted if has_limits], np.int64)
    low_high = limits.T if has_limits else (None,) * 4
    knows_doubt = bool(accepted) and all(r.ambiguous is not None for r in accepted)
    return Sample(
        her2=np.array([row.her2 for row in accepted], np.int64),
        cep17=np.array([row.cep17 for row in accepted], np.int64),
        field=fields,
        visit=_visits(accepted, fields),
        distance_um=_distances(accepted, middles),
        region=np.array(
            [REGIONS.index(marks.get(r.key, r.region)) for r in accepted], np.int64
        ),
        area=codes(named) if is_drawn else None,
        her2_low=low_high[0],
        her2_high=low_high[1],
        cep17_low=low_high[2],
        cep17_high=low_high[3],
        ambiguous=np.array([bool(r.ambiguous) for r in accepted])
        if knows_doubt
        else None,
    )


def with_resolution(rows: Sequence[CountRow], evidence: Evidence) -> Evidence:
    """Return evidence with the median quality of accepted nuclei, unless it has one."""
    known = [r.quality for r in rows if not r.is_excluded and r.quality is not None]
    if evidence.nuclear_resolution is not None or not known:
        return evidence
    median = min(1.0, max(0.0, float(np.median(known))))
    return evidence.model_copy(update={"nuclear_resolution": median})


def _visits(
    accepted: Sequence[CountRow], fields: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    if any(row.visit is None for row in accepted):
        return fields
    return np.array([row.visit for row in accepted], np.int64)


def _distances(
    accepted: Sequence[CountRow], middles: Mapping[str, Place]
) -> F64 | None:
    found: list[float] = []
    for row in accepted:
        middle = middles.get(row.field)
        if row.distance_um is not None:
            found.append(row.distance_um)
        elif row.place_um is not None and middle is not None:
            x, y = row.place_um
            found.append(float(np.hypot(x - middle[0], y - middle[1])))
        else:
            return None
    return np.array(found, np.float64)


def _middles(rows: Sequence[CountRow]) -> dict[str, Place]:
    places: dict[str, list[Place]] = {}
    for row in rows:
        if row.place_um is not None:
            places.setdefault(row.field, []).append(row.place_um)
    middles: dict[str, Place] = {}
    for field, found in places.items():
        low, high = np.min(found, axis=0), np.max(found, axis=0)
        middles[field] = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    return middles
