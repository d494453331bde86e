"""The simulated pathologist: marks regions of nuclei, as a person at the screen would.

Looks at which true nuclei lie where, and of which cells they are: what a person tells
from their shape and surroundings. It never looks at a locus, and knows no count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from her2sr_proc.comparison import CountedField, owners
from her2sr_proc.errors import StateError
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.runs import counted_fields
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.counts import Region
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.truth import SpecimenTruth, read_truth

WHO = "simulated-pathologist"
REASON = "simulated: regions of the simulated specimen, no counts"
_REGIONS: dict[str, Region] = {"tumour": "invasive", "normal": "normal"}


def regions(
    specimen: SpecimenTruth, fields: Sequence[CountedField]
) -> dict[str, Region]:
    """Return a region for every nucleus found that holds a true one.

    Invasive or normal where every true nucleus in the outline is; else other, such as
    stroma, or a tumour nucleus that runs together with a fibroblast.
    """
    marks: dict[str, Region] = {}
    for field in fields:
        owner = owners(specimen, field)
        for nucleus in field.result.nuclei:
            kinds = set(specimen.nuclei.kind[owner == nucleus.nucleus].tolist())
            if kinds:
                only = kinds.pop() if len(kinds) == 1 else ""
                name = f"{field.result.field}/{nucleus.nucleus}"
                marks[name] = _REGIONS.get(str(only), "other")
    return marks


def mark_run(run: RunFolder, utc: Callable[[], str]) -> int:
    """Record the marks of a run's nuclei in its case; return how many are tumour.

    Marks that stand there already are not written again. Raises `StateError` for a run
    of no simulated specimen.
    """
    specimen = read_truth(run.simulated_truth)
    if specimen is None:
        raise StateError(
            f"{run.name} is of no simulated specimen, so that only a person can mark "
            f"its regions: `her2sr score --marks`"
        )
    marks = regions(specimen, counted_fields(run, read_manifest(run)))
    if marks:
        file = CaseFile(run.case, utc)
        if marks.items() - file.case.marks.items():
            file.add(RegionsMarked(marks=marks), by=WHO, reason=REASON)
    return int(np.sum([region == "invasive" for region in marks.values()]))
