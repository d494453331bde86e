"""What every sample of a study gave: arms, truth, and nuclei one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from her2sr_proc.offline.runs import comparison_of, read_fields, score_run
from her2sr_proc.schema.counts import PROBES, NucleusCounts, Probe, scored
from her2sr_proc.schema.results import ARMS, Arm, ArmName, RunResult
from her2sr_proc.scoring import Group, Totals, group_of
from her2sr_proc.store.layout import RunFolder, StudyFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_result
from her2sr_proc.study.plan import SamplePlan, StudyPlan
from her2sr_proc.study.records import SampleRecord, read_record, run_of


@dataclass(frozen=True, slots=True)
class NucleusPair:
    """One scored nucleus, counted and as it is."""

    field: str
    nucleus: int
    counted: dict[ArmName, dict[Probe, int]]
    copies: dict[Probe, int]
    signals: dict[Probe, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """The answer of a sample's run."""

    result: RunResult
    unlimited: Arm
    """The headline without the rule that a quarter of the nuclei may lack a colour."""
    nuclei: tuple[NucleusPair, ...]
    nuclei_with: dict[tuple[ArmName, Probe], tuple[int, int]]
    """Nuclei with signals of a probe, and with ambiguous ones, in an arm."""


@dataclass(frozen=True, slots=True)
class SampleOutcome:
    """One sample: planned, tried, and measured where it went well."""

    plan: SamplePlan
    record: SampleRecord | None
    measured: Measured | None

    @property
    def fault(self) -> str:
        """Why there is no answer; empty where there is one."""
        if self.measured is not None:
            return ""
        if self.record is None:
            return "not acquired yet"
        if self.record.state == "started":
            return "interrupted while it was acquired"
        return self.record.reason or "its run has no result"

    def group(self, arm: ArmName) -> Group | None:
        """Return the group that the counts of an arm form, whatever rejects them."""
        if self.measured is None:
            return None
        return formed(self.measured.result.arms[arm])

    def true_group(self, *, signals: bool = False) -> Group | None:
        """Return the group of the truth over the scored nuclei."""
        if self.measured is None or self.measured.result.truth is None:
            return None
        truth = self.measured.result.truth
        return formed(truth.signals if signals else truth.copies)


def formed(arm: Arm) -> Group | None:
    """Return the group of an arm's sums on exact fractions; None without a ratio."""
    return group_of(Totals(arm.her2_signals, arm.cep17_signals, arm.nuclei))


def outcomes(folder: StudyFolder, plan: StudyPlan) -> tuple[SampleOutcome, ...]:
    """Return every sample of a plan, those without an answer too, in its order."""
    found = []
    for sample in plan.samples:
        record = read_record(folder, sample.name)
        measured = None
        if record is not None and record.state == "acquired":
            measured = _measured(folder, record)
        found.append(SampleOutcome(sample, record, measured))
    return tuple(found)


def _measured(folder: StudyFolder, record: SampleRecord) -> Measured | None:
    run = run_of(folder, record)
    if not run.result.exists():
        return None
    result = read_result(run)
    manifest = read_manifest(run)
    taken = list(scored(result for _, result in read_fields(run, manifest)))
    limits = manifest.profile.score
    unlimited = limits.model_copy(update={"maximum_lacking": 1.0})
    return Measured(
        result=result,
        unlimited=score_run(run, result.headline, unlimited).arm,
        nuclei=tuple(_pairs(run, taken)),
        nuclei_with={
            (arm, probe): (
                sum(n.counts[arm][probe].count > 0 for _, n in taken),
                sum(n.counts[arm][probe].ambiguous for _, n in taken),
            )
            for arm in ARMS
            for probe in PROBES
        },
    )


def _pairs(
    run: RunFolder, taken: list[tuple[str, NucleusCounts]]
) -> Iterator[NucleusPair]:
    comparison = comparison_of(run)
    truths = {(r.field, r.nucleus): r for r in comparison.nuclei} if comparison else {}
    for field, nucleus in taken:
        truth = truths.get((field, nucleus.nucleus))
        if truth is not None:
            counted: dict[ArmName, dict[Probe, int]] = {
                arm: {probe: by_probe[probe].count for probe in PROBES}
                for arm, by_probe in nucleus.counts.items()
            }
            yield NucleusPair(
                field, nucleus.nucleus, counted, truth.copies, truth.signals
            )
