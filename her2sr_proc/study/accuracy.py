"""Counts held against the truth: the figures that a study is to reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from her2sr_proc.schema.counts import PROBES, Probe
from her2sr_proc.schema.results import Arm
from her2sr_proc.study.outcomes import NucleusPair, SampleOutcome

FEW = 4
"""Copies up to which a count is asked to be exact."""
WANTED_DEFINITE, WANTED_SHARE = 10, 10 / 14
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure beside what is to be reached; no verdict where none is asked."""

    what: str
    reach: str
    measured: str
    n: str
    is_met: bool | None


def figures(samples: Sequence[SampleOutcome]) -> tuple[Figure, ...]:
    """Return every figure of a study."""
    measured = [s for s in samples if s.measured is not None]
    return (
        *(_nuclei(measured, probe) for probe in PROBES),
        _scored(measured),
        *_means(measured),
        _undercount(measured),
        *_doublets(measured),
        _definite(measured, "as the profile says"),
        _definite(measured, "without the rule that a quarter may lack a colour"),
    )


def _nuclei(samples: Sequence[SampleOutcome], probe: Probe) -> Figure:
    gaps = np.array(
        [
            pair.counted["sr_merged"][probe] - pair.copies[probe]
            for pair in _pairs(samples)
            if pair.copies[probe] <= FEW
        ]
    )
    exact = float(np.mean(gaps == 0)) if gaps.size else None
    near = float(np.mean(np.abs(gaps) <= 1)) if gaps.size else None
    return Figure(
        what=f"{probe} a nucleus, sr_merged against copies, up to {FEW} copies",
        reach="exact >= 80 %, within 1 >= 97 %",
        measured=f"exact {_percent(exact)}, within 1 {_percent(near)}",
        n=f"{gaps.size} nuclei",
        is_met=None
        if exact is None or near is None
        else exact >= 0.80 and near >= 0.97,
    )


def _scored(samples: Sequence[SampleOutcome]) -> Figure:
    truths = [s.measured.result.truth for s in samples if s.measured]
    there = sum(t.whole_tumour_nuclei for t in truths if t)
    met = sum(t.whole_tumour_nuclei_scored for t in truths if t)
    return Figure(
        what="whole tumour nuclei scored",
        reach=">= 70 %",
        measured=_percent(met / there if there else None),
        n=f"{met} of {there}",
        is_met=met / there >= 0.7 if there else None,
    )


def _means(samples: Sequence[SampleOutcome]) -> Iterator[Figure]:
    """Mean HER2 and CEP17 a nucleus, sample by sample."""
    for status, limit in (("negative", 0.05), ("positive", 0.10)):
        for probe in PROBES:
            errors = [
                (counted - true) / true
                for s in samples
                if s.plan.status == status
                for counted, true in _sums(s, probe)
            ]
            absolute = np.abs(errors)
            title = "non-amplified" if status == "negative" else "amplified"
            worst = float(absolute.max()) if errors else None
            middle = float(np.median(absolute)) if errors else None
            bias = float(np.mean(errors)) if errors else None
            yield Figure(
                what=f"mean {probe} a nucleus, {title} samples, sr_merged against "
                f"copies",
                reach=f"error <= {_percent(limit)} each",
                measured=f"median {_percent(middle)}, largest {_percent(worst)}, bias "
                f"{_percent(bias, signed=True)}",
                n=f"{len(errors)} samples",
                is_met=None if worst is None else worst <= limit,
            )


def _undercount(samples: Sequence[SampleOutcome]) -> Figure:
    clustered = [s for s in samples if s.plan.kind == "clustered"]
    sums = [_sums(s, "HER2", arm="conventional") for s in clustered]
    errors = [(counted - true) / true for some in sums for counted, true in some]
    return Figure(
        what="HER2 a nucleus, clustered samples, conventional against copies",
        reach="measured, never a target",
        measured=_percent(float(np.mean(errors)) if errors else None, signed=True),
        n=f"{len(errors)} samples",
        is_met=None,
    )


def _doublets(samples: Sequence[SampleOutcome]) -> Iterator[Figure]:
    rich = [s for s in samples if s.plan.kind == "doublet_rich"]
    biases = {
        probe: [
            (counted - true) / true for s in rich for counted, true in _sums(s, probe)
        ]
        for probe in PROBES
    }
    has_both = bool(biases["HER2"] and biases["CEP17"])
    apart = (
        float(np.mean(biases["HER2"]) - np.mean(biases["CEP17"])) if has_both else None
    )
    yield Figure(
        what="doublet-rich samples: bias of HER2 less bias of CEP17, sr_merged",
        reach="<= 3 % apart",
        measured=_percent(apart, signed=True),
        n=f"{len(rich)} samples",
        is_met=None if apart is None else abs(apart) <= 0.03,
    )
    false = [s for s in rich if s.group("sr_merged") == 2 and s.true_group() != 2]
    yield Figure(
        what="doublet-rich samples called group 2 by sr_merged, and not by copies",
        reach="0",
        measured=str(len(false)),
        n=f"{len(rich)} samples",
        is_met=not false if rich else None,
    )


def _definite(samples: Sequence[SampleOutcome], rule: str) -> Figure:
    arms = [
        (s, s.measured.unlimited if "without" in rule else _headline(s))
        for s in samples
        if s.measured
    ]
    sure = [(s, arm) for s, arm in arms if arm is not None and is_sure(arm)]
    right = [s for s, arm in sure if arm.group == s.true_group()]
    definite = sum(arm.status == "definite" for _, arm in sure)
    wanted = round(WANTED_SHARE * len(samples))
    return Figure(
        what=f"samples with P(group) >= {SURE}, {rule}",
        reach=f">= {WANTED_DEFINITE} of 14, each the true group",
        measured=f"{len(sure)} ({definite} definite, {len(sure) - definite} for IHC), "
        f"{len(right)} of them the true group",
        n=f"{len(samples)} samples",
        is_met=len(sure) >= wanted and len(right) == len(sure) if samples else None,
    )


def is_sure(arm: Arm) -> bool:
    """Return whether an arm names its group with the chance that is asked for."""
    chance = arm.group_probabilities.get(str(arm.group), 0.0)
    return arm.status in ("definite", "needs_ihc") and chance >= SURE


def _headline(sample: SampleOutcome) -> Arm | None:
    if sample.measured is None:
        return None
    result = sample.measured.result
    return result.arms[result.headline]


def _sums(
    sample: SampleOutcome,
    probe: Probe,
    *,
    arm: Literal["sr_merged", "conventional"] = "sr_merged",
) -> list[tuple[float, float]]:
    """Return counted and true mean over the same nuclei; nothing where none is true."""
    pairs = list(_pairs([sample]))
    true = sum(pair.copies[probe] for pair in pairs)
    if not true:
        return []
    counted = sum(pair.counted[arm][probe] for pair in pairs)
    return [(counted / len(pairs), true / len(pairs))]


def _pairs(samples: Sequence[SampleOutcome]) -> Iterator[NucleusPair]:
    for sample in samples:
        if sample.measured is not None:
            yield from sample.measured.nuclei


def _percent(share: float | None, *, signed: bool = False) -> str:
    if share is None:
        return "–"
    return f"{100 * share:+.1f} %" if signed else f"{100 * share:.1f} %"
