"""The counted nuclei of a run, each field's file read once a change.

A run that stops by a rule asks for all fields at the end of every field; nearly all of
them stand as they stood. What people marked and changed is read anew each time.
"""

from __future__ import annotations

from functools import lru_cache

from her2sr_proc.offline.casefile import read_case
from her2sr_proc.offline.runs import with_review
from her2sr_proc.schema.counts import FieldResult, NucleusCounts
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import ArmName
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import read_field

MOST_FIELDS = 2048
"""Kept: about 50 kB each, of 36 nuclei."""
Stamp = tuple[int, int, int]


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
