"""How much of "negative becomes group 2" is doublets: the paper's open question.

Peg et al. 2024 saw two negative samples move to group 2 by super-resolution. Sister
signals that super-resolution parts raise HER2 alone, since HER2 replicates early and
CEP17 late. With a known truth the two causes can be told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from her2sr_proc.schema.results import ARMS, ArmName
from her2sr_proc.statistics.summary import clopper_pearson
from her2sr_proc.study.outcomes import SampleOutcome


@dataclass(frozen=True, slots=True)
class RatioShift:
    """Where the ratio of the arm as resolved comes from, in one sample."""

    sample: str
    kind: str
    copies: float
    """Ratio of the true copies in the section."""
    signals: float
    """Ratio of the true signals: more by the doublets."""
    sr: float
    merged: float
    conventional: float | None

    @property
    def doublets(self) -> float:
        """What doublets add to the true ratio."""
        return self.signals - self.copies

    @property
    def counting(self) -> float:
        """What the counter adds, to the arm as resolved."""
        return self.sr - self.signals


@dataclass(frozen=True, slots=True)
class Answer:
    """Samples of the simulated routine diagnosis "negative" with an answer."""

    negative: int
    to_group_2: tuple[str, ...]
    """Group 2 as resolved, and not conventionally: what the paper saw twice."""
    group_2: tuple[str, ...]
    """Group 2 as resolved, whatever it was conventionally."""
    true: tuple[str, ...]
    """Of these, group 2 by true copies: HER2 against a lost CEP17, for example."""
    doublets: tuple[str, ...]
    """Of these, group 2 by true signals and not by copies: doublets alone."""
    miscounted: tuple[str, ...]
    """Of these, group 2 by neither: the counter."""
    merged_group_2: tuple[str, ...]
    """Group 2 with doublets merged."""
    merged_false: tuple[str, ...]
    """Of these, not group 2 by true copies."""
    merged_missed: tuple[str, ...]
    """Group 2 by true copies, and not with doublets merged."""
    expected_false: dict[ArmName, float]
    """Samples that are not group 2 by true copies, each times its P(group 2)."""
    shifts: tuple[RatioShift, ...]

    @property
    def share(self) -> float | None:
        """Share of false group 2 as resolved that doublets alone explain."""
        false = len(self.doublets) + len(self.miscounted)
        return len(self.doublets) / false if false else None

    @property
    def interval_95(self) -> tuple[float, float] | None:
        """Clopper-Pearson interval of doublets among all of group 2 as resolved."""
        if not self.group_2:
            return None
        found = clopper_pearson(len(self.doublets), len(self.group_2))
        return found.low, found.high

    @property
    def mean_doublets(self) -> float | None:
        """Mean of what doublets add to a negative sample's true ratio."""
        return _mean([shift.doublets for shift in self.shifts])

    @property
    def mean_counting(self) -> float | None:
        """Mean of what the counter adds to it."""
        return _mean([shift.counting for shift in self.shifts])

    @property
    def mean_left(self) -> float | None:
        """Mean of what the merged arm still lies above the ratio of true copies."""
        return _mean([shift.merged - shift.copies for shift in self.shifts])


def answer(samples: Sequence[SampleOutcome]) -> Answer:
    """Return what the negative samples of a study say."""
    negative = [s for s in samples if s.plan.status == "negative" and s.measured]
    group_2 = [s for s in negative if s.group("sr") == 2]
    true = [s for s in group_2 if s.true_group() == 2]
    doublets = [s for s in group_2 if s not in true and s.true_group(signals=True) == 2]
    merged = [s for s in negative if s.group("sr_merged") == 2]
    return Answer(
        negative=len(negative),
        to_group_2=_names([s for s in group_2 if s.group("conventional") != 2]),
        group_2=_names(group_2),
        true=_names(true),
        doublets=_names(doublets),
        miscounted=_names([s for s in group_2 if s not in true and s not in doublets]),
        merged_group_2=_names(merged),
        merged_false=_names([s for s in merged if s.true_group() != 2]),
        merged_missed=_names(
            [s for s in negative if s.true_group() == 2 and s not in merged]
        ),
        expected_false=_expected(negative),
        shifts=tuple(_shifts(negative)),
    )


def sentences(found: Answer) -> Iterator[str]:
    """Yield the answer in words."""
    if not found.negative:
        yield "No negative sample has an answer yet: the question stays open."
        return
    yield (
        f"Negative samples: {found.negative}. Group 2 as resolved: "
        f"{len(found.group_2)} ({_list(found.group_2)}); of these not conventionally: "
        f"{len(found.to_group_2)} ({_list(found.to_group_2)})."
    )
    if found.group_2:
        low, high = found.interval_95 or (0.0, 1.0)
        yield (
            f"Of these {len(found.group_2)}, doublets alone: {len(found.doublets)} "
            f"({_list(found.doublets)}; 95 % {100 * low:.0f} to {100 * high:.0f} %); "
            f"group 2 by their true copies: {len(found.true)} "
            f"({_list(found.true)}); the counter: {len(found.miscounted)} "
            f"({_list(found.miscounted)})."
        )
    yield (
        f"Group 2 with doublets merged: {len(found.merged_group_2)} "
        f"({_list(found.merged_group_2)}), falsely {len(found.merged_false)} "
        f"({_list(found.merged_false)}); true ones missed: "
        f"{len(found.merged_missed)} ({_list(found.merged_missed)})."
    )
    chance = {arm: f"{n:.2f}" for arm, n in found.expected_false.items()}
    yield (
        f"False group 2 to be expected of other nuclei of the same slides, from "
        f"P(group): {chance['sr']} samples as resolved, {chance['sr_merged']} merged, "
        f"{chance['conventional']} conventionally."
    )
    if found.shifts:
        yield (
            f"Doublets add {found.mean_doublets:+.2f} to the ratio of a negative "
            f"sample on average, the counter {found.mean_counting:+.2f}; merged, "
            f"{found.mean_left:+.2f} in all are left over the ratio of the copies."
        )


def _expected(negative: Sequence[SampleOutcome]) -> dict[ArmName, float]:
    """Return how many false group 2 other nuclei of the same slides would give."""
    false = [s.measured for s in negative if s.measured and s.true_group() != 2]
    return {
        arm: float(
            sum(m.result.arms[arm].group_probabilities.get("2", 0.0) for m in false)
        )
        for arm in ARMS
    }


def _shifts(negative: Sequence[SampleOutcome]) -> Iterator[RatioShift]:
    for sample in negative:
        measured = sample.measured
        truth = measured.result.truth if measured else None
        if measured is None or truth is None:
            continue
        arms = measured.result.arms
        copies, signals = truth.copies.ratio, truth.signals.ratio
        sr, merged = arms["sr"].ratio, arms["sr_merged"].ratio
        if copies is None or signals is None or sr is None or merged is None:
            continue
        yield RatioShift(
            sample=sample.plan.name,
            kind=sample.plan.kind,
            copies=copies,
            signals=signals,
            sr=sr,
            merged=merged,
            conventional=arms["conventional"].ratio,
        )


def _names(samples: Sequence[SampleOutcome]) -> tuple[str, ...]:
    return tuple(s.plan.name for s in samples)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
