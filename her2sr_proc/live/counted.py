"""The counted nuclei of a run, each field's file read once a change.

A run that stops by a rule asks for all fields at the end of every field; nearly all of
them stand as they stood. What people marked and changed is read anew each time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from her2sr_proc.offline.casefile import read_case
from her2sr_proc.offline.runs import with_review
from her2sr_proc.schema.counts import PROBES, FieldResult, NucleusCounts
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import ArmName
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import read_field

MOST_FIELDS = 2048
"""Kept: as numbers 1 kB each, of 36 nuclei; of a run that people have marked 50 kB."""
Stamp = tuple[int, int, int]
I64 = npt.NDArray[np.int64]
B = npt.NDArray[np.bool_]


class Tally(NamedTuple):
    """The nuclei of a field that are not excluded, in their order."""

    field: str
    counts: I64
    """Shape (nuclei, 2): HER2 and CEP17 in the headline's arm."""
    is_marked: B
    """Whether a region is named for it."""
    is_invasive: B


def scorable_counts(run: RunFolder, manifest: Manifest) -> dict[str, I64]:
    """Return, by counted field, the signals of its nuclei that may be scored.

    Shape (nuclei, 2), HER2 and CEP17; which those are `her2sr_proc.schema.counts.
    scored` says. Raises as `counted_nuclei`.
    """
    arm = manifest.profile.headline
    case = read_case(run.case)
    if case.marks or case.edits:
        tallies = [_tally(field, arm) for field in counted_nuclei(run, manifest)]
    else:
        # nearly always nobody has. Numbers, as the objects of 200 fields lie so far
        # apart in memory that a nucleus costs five times as much as one of 50 fields
        stamps = {facts.name: _stamp(run, facts.name) for facts in manifest.fields}
        kept = [_kept(run, name, arm, at) for name, at in stamps.items() if at]
        tallies = [tally for tally in kept if tally is not None]
    if any(tally.is_marked.any() for tally in tallies):
        return {t.field: t.counts[t.is_invasive] for t in tallies}
    return {t.field: t.counts for t in tallies}


def counted_nuclei(run: RunFolder, manifest: Manifest) -> list[FieldResult]:
    """Return every counted field with its nuclei in the headline's arm alone.

    As `her2sr_proc.offline.runs.read_fields`, without what is not asked for here:
    the other arms, the marks of single signals and the clusters. Raises as it.
    """
    case = read_case(run.case)
    arm = manifest.profile.headline
    is_touched = bool(case.marks or case.edits)
    found = []
    for facts in manifest.fields:
        stamp = _stamp(run, facts.name)
        field = None if stamp is None else _nuclei(run, facts.name, arm, stamp)
        if field is not None:
            # nearly always nobody has: then no nucleus need be copied
            found.append(with_review(field, case) if is_touched else field)
    return found


def _stamp(run: RunFolder, field: str) -> Stamp | None:
    """Return what changes with a file that is written whole; None without one."""
    try:
        status = run.field_result(field).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=MOST_FIELDS)
def _kept(run: RunFolder, field: str, arm: ArmName, stamp: Stamp) -> Tally | None:
    """Return a field as of ``stamp``, which is there to tell one version from another.

    One that is replaced between the stamp and the reading has another stamp next time.
    """
    del stamp
    result = read_field(run, field)
    return None if result is None else _tally(result, arm)


def _tally(result: FieldResult, arm: ArmName) -> Tally:
    nuclei = [nucleus for nucleus in result.nuclei if not nucleus.excluded]
    counts = [[n.counts[arm][probe].count for probe in PROBES] for n in nuclei]
    return Tally(
        result.field,
        np.array(counts, np.int64).reshape(-1, len(PROBES)),
        np.array([n.region != "unmarked" for n in nuclei], np.bool_),
        np.array([n.region == "invasive" for n in nuclei], np.bool_),
    )


@lru_cache(maxsize=MOST_FIELDS)
def _nuclei(
    run: RunFolder, field: str, arm: ArmName, stamp: Stamp
) -> FieldResult | None:
    """Return a field as of ``stamp``, which is there to tell one version from another.

    One that is replaced between the stamp and the reading has another stamp next time.
    """
    del stamp
    result = read_field(run, field)
    if result is None:
        return None
    nuclei = tuple(
        nucleus.model_copy(update={"counts": _of_arm(nucleus, arm)})
        for nucleus in result.nuclei
    )
    none: dict[str, object] = {"signals": (), "clusters": (), "nuclei": nuclei}
    return result.model_copy(update=none)


def _of_arm(nucleus: NucleusCounts, arm: ArmName) -> dict[ArmName, object]:
    return {name: counts for name, counts in nucleus.counts.items() if name == arm}
