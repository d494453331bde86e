"""What the run folders of a cohort add to it: counts, and fields to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError, TableError
from her2sr_proc.offline.runs import read_fields
from her2sr_proc.schema.cohort import ArmFigures, Cohort, GroupCell, Sample
from her2sr_proc.schema.counts import PROBES, FieldResult, NucleusCounts, scored
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import ARMS, ArmName
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_result

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
_GROUPS: dict[int | None, GroupCell] = {
    1: "1",
    2: "2",
    3: "3",
    4: "4",
    5: "5",
    None: "unevaluable",
}


@dataclass(frozen=True, slots=True)
class SampleRun:
    """One sample with its run, read."""

    sample: Sample
    folder: RunFolder
    manifest: Manifest
    fields: tuple[FieldResult, ...]

    def scored(self) -> Iterator[tuple[str, NucleusCounts]]:
        """Yield field and counts of every scored nucleus, in their order."""
        yield from scored(self.fields)

    def image(self, field: str, channel: str, kind: str) -> F32 | None:
        """Return an image of a field; None where there is none."""
        path = self.folder.image(field, channel, kind)
        try:
            return np.asarray(read_tiff(path), np.float32)
        except DataError:  # not computed, for want of frames: flagged in the result
            return None

    def labels(self, field: str) -> I32 | None:
        """Return the nuclei of a field; None where there are none."""
        try:
            return np.asarray(read_tiff(self.folder.labels(field)), np.int32)
        except DataError:  # no DAPI in this field: flagged in the result
            return None


def open_runs(cohort: Cohort, beside: Path) -> tuple[SampleRun, ...]:
    """Open the run folder of each sample that names one.

    Paths that are not absolute start at ``beside``, the folder of the CSV. Raises
    `TableError` for a folder that is no processed run.
    """
    found = []
    for sample in cohort.samples:
        if sample.run is None:
            continue
        folder = RunFolder((beside / sample.run).resolve())
        if not folder.manifest.exists():
            raise TableError(
                f"sample {sample.sample}: {sample.run} is no run folder; correct the "
                f"column 'run', or leave the cell empty"
            )
        manifest = read_manifest(folder)
        fields = read_fields(folder, manifest)
        results = tuple(result for _, result in fields)
        found.append(SampleRun(sample, folder, manifest, results))
    return tuple(found)


def with_counts(cohort: Cohort, runs: Sequence[SampleRun]) -> Cohort:
    """Return the cohort with the counts of its runs, where the CSV tells none."""
    counted = {run.sample.sample: run for run in runs}
    samples = []
    for sample in cohort.samples:
        run = counted.get(sample.sample)
        if run is not None:
            missing = [arm for arm in ARMS if arm not in sample.arms]
            arms = sample.arms | {arm: _figures(run, arm) for arm in missing}
            sample = sample.model_copy(update={"arms": arms})
        samples.append(sample)
    return cohort.model_copy(update={"samples": tuple(samples)})


def _figures(run: SampleRun, arm: ArmName) -> ArmFigures:
    result = read_result(run.folder).arms[arm]
    counts = [n.counts[arm] for _, n in run.scored() if arm in n.counts]
    values: dict[str, int] = {}
    for probe in PROBES:
        mine = [count[probe] for count in counts]
        name = probe.lower()
        values[f"{name}_nuclei"] = sum(c.count > 0 for c in mine)
        values[f"{name}_ambiguous_nuclei"] = sum(c.ambiguous for c in mine)
    return ArmFigures(
        nuclei=result.nuclei,
        her2_signals=result.her2_signals,
        cep17_signals=result.cep17_signals,
        her2_per_nucleus=result.her2_per_nucleus,
        cep17_per_nucleus=result.cep17_per_nucleus,
        ratio=result.ratio,
        group=_GROUPS[result.group],
        **values,
    )
