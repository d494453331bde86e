"""One arm's counts -> its group, how sure it is, and all that stands against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.assessment import Assessment, Evidence
from her2sr_proc.schema.results import Arm
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.budget import Budget, budget
from her2sr_proc.scoring.chances import group_probabilities
from her2sr_proc.scoring.control import chromosome_words, control, subset
from her2sr_proc.scoring.criteria import areas_of, criteria
from her2sr_proc.scoring.cut import retained_shares
from her2sr_proc.scoring.groups import group_of, group_of_sets, groups_within, tags
from her2sr_proc.scoring.intervals import (
    AFTER_WIDTH,
    CONFIDENCE,
    fieller,
    mean_interval,
    spread,
    widened,
)
from her2sr_proc.scoring.populations import (
    WHOLE,
    relative_cuts,
    second_population,
)
from her2sr_proc.scoring.reasons import Findings, answer, blockers
from her2sr_proc.scoring.sample import Sample
from her2sr_proc.scoring.trends import trends
from her2sr_proc.scoring.workflow import comment

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
RESEARCH = (
    "research note, not a result: ISH groups do not define HER2-low, which rests on "
    "IHC 1+, or 2+ with a negative ISH"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """How a sample came about, as far as that changes what may be said of it."""

    evidence: Evidence = field(default_factory=Evidence)
    has_channel_map: bool = True
    stopped_by_width: bool = False
    """Counting stopped because the interval had become narrow enough."""
    ihc: int | None = None


@dataclass(frozen=True, slots=True)
class Assessed:
    """An arm with what stands beside it."""

    arm: Arm
    assessment: Assessment


@dataclass(frozen=True, slots=True)
class _Work:
    """One sample on its way."""

    sample: Sample
    tumour: Sample
    """What is scored of it."""
    ratio_set: Sample
    params: ScoreParams
    confidence: float
    budget: Budget


def assess(
    sample: Sample,
    *,
    params: ScoreParams,
    generator: np.random.Generator,
    origin: Origin | None = None,
) -> Assessed:
    """Score one arm of a sample.

    Parameters
    ----------
    sample : Sample
        Accepted nuclei, with their marks where there are any.
    params : ScoreParams
    generator : numpy Generator
        Draws the chances of the groups and the permutations of the trends.
    origin : Origin, optional
        What is known beside the counts.
    """
    origin = origin or Origin()
    tumour = sample.of_region("invasive") if sample.is_marked else sample
    is_paper = params.mode == "paper"
    work = _Work(
        sample=sample,
        tumour=tumour,
        ratio_set=tumour.take(tumour.cep17 > 0) if is_paper else tumour,
        params=params,
        confidence=AFTER_WIDTH if origin.stopped_by_width else CONFIDENCE,
        budget=budget(tumour, params),
    )
    sampling, total = _chances(work, generator)
    found = _findings(work, total, origin, generator)
    arm = _arm(work, found)
    return Assessed(arm, _assessment(work, found, sampling))


def score(
    her2: I64, cep17: I64, *, params: ScoreParams, generator: np.random.Generator
) -> Arm:
    """Score nuclei that are all invasive tumour, when no more than counts is known.

    Parameters
    ----------
    her2, cep17 : int64 arrays, shape (nuclei,)
        Signals of the same nuclei in the same order.
    params : ScoreParams
        Number of draws, limits of the status.
    generator : numpy Generator
        Draws the chances of the groups.
    """
    return assess(Sample(her2, cep17), params=params, generator=generator).arm


def _chances(
    work: _Work, generator: np.random.Generator
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the chances of the groups by sampling alone, and with common errors."""
    found = spread(work.tumour.her2, work.tumour.cep17, work.tumour.field)
    sampling, total = (
        group_probabilities(
            found,
            relative_sd=common,
            draws=work.params.resamples,
            generator=generator,
        )
        for common in ((0.0, 0.0), work.budget.by_colour)
    )
    return sampling, total


def _findings(
    work: _Work,
    chances: dict[str, float],
    origin: Origin,
    generator: np.random.Generator,
) -> Findings:
    tumour, params = work.tumour, work.params
    is_second = second_population(tumour.her2, _cuts(params))
    apart = None if is_second is None else tumour.take(is_second)
    ambiguous = tumour.ambiguous
    interval = _interval(work)
    total, mean = _total(work), _mean(work)
    return Findings(
        totals=tumour.totals,
        group=group_of_sets(work.ratio_set.totals, tumour.totals),
        both_colours_group=group_of(tumour.both_colours.totals),
        chances=chances,
        criteria=criteria(work.sample, tumour, origin.evidence, params),
        trends=trends(
            tumour,
            level=params.trend_level,
            draws=max(params.resamples // 2, 999),
            generator=generator,
        ),
        second=None if apart is None else subset(apart, confidence=work.confidence),
        is_marked=work.sample.is_marked,
        has_channel_map=origin.has_channel_map,
        ambiguous_share=None
        if ambiguous is None or not len(tumour)
        else float(ambiguous.mean()),
        outnumbered=interval is not None and interval[1] < 1.0,
        open_groups=groups_within(total, mean) if total and mean else frozenset(),
        ihc=origin.ihc,
    )


def _cuts(params: ScoreParams) -> F64:
    """Return what the knife leaves of nuclei; all of them by the rule as printed."""
    if params.lacking == "guideline":
        return WHOLE
    return relative_cuts(retained_shares(params.section_um, params.nucleus_um))


def _interval(work: _Work) -> tuple[float, float] | None:
    used = work.ratio_set
    found = spread(used.her2, used.cep17, used.field)
    return None if found is None else fieller(found, work.confidence)


def _total(work: _Work) -> tuple[float, float] | None:
    """Return the interval of the ratio with common errors."""
    interval, ratio = _interval(work), work.ratio_set.totals.ratio
    if interval is None or ratio is None:
        return None
    return widened(interval, ratio, work.budget.of_ratio)


def _mean(work: _Work) -> tuple[float, float] | None:
    """Return the interval of HER2 a nucleus with common errors."""
    tumour = work.tumour
    interval = mean_interval(tumour.her2, tumour.field, work.confidence)
    if interval is None:
        return None
    return widened(interval, float(tumour.her2.mean()), work.budget.by_colour[0])


def _arm(work: _Work, found: Findings) -> Arm:
    totals, ratio = work.tumour.totals, work.ratio_set.totals.ratio
    said = answer(found, work.params)
    return Arm(
        her2_signals=totals.her2,
        cep17_signals=totals.cep17,
        nuclei=totals.nuclei,
        her2_per_nucleus=_per_nucleus(totals.her2, totals.nuclei),
        cep17_per_nucleus=_per_nucleus(totals.cep17, totals.nuclei),
        ratio=ratio,
        ratio_interval_95=_interval(work),
        ratio_interval_total=_total(work),
        group=said.group,
        unmarked_group=None if work.sample.is_marked else found.group,
        group_probabilities=found.chances,
        status=said.status,
        reasons=said.reasons,
        outcome=said.outcome,
        comment=comment(said.group, said.outcome) if said.group else "",
    )


def _assessment(work: _Work, found: Findings, sampling: dict[str, float]) -> Assessment:
    tumour, confidence = work.tumour, work.confidence
    checked = control(work.sample, tumour, confidence=confidence)
    common = work.budget
    return Assessment(
        mode=work.params.mode,
        accepted=subset(tumour, confidence=confidence),
        both_colours=subset(tumour.both_colours, confidence=confidence),
        ratio_set=subset(work.ratio_set, confidence=confidence),
        is_marked=work.sample.is_marked,
        areas=areas_of(tumour),
        criteria=found.criteria,
        trends=found.trends,
        second_population=found.second,
        control=checked,
        sampling_probabilities=sampling,
        error_budget={
            "her2_counter": common.her2_counter,
            "cep17_counter": common.cep17_counter,
            "focus": common.focus,
            "registration": common.registration,
            "ratio": common.of_ratio,
        },
        tags=tuple(tags(tumour.totals)),
        notes=(*chromosome_words(checked), *_notes(work), RESEARCH),
        blockers=tuple(blockers(found, work.params)),
    )


def _notes(work: _Work) -> Iterator[str]:
    tumour = work.tumour
    found = spread(tumour.her2, tumour.cep17, tumour.field)
    if found is not None and not found.clusters:
        yield (
            "too few fields hold nuclei to see how fields differ: the interval takes "
            "nuclei as independent and may be too narrow"
        )
    if work.params.mode == "paper":
        yield (
            f"paper mode: the ratio is over {len(work.ratio_set)} nuclei with CEP17, "
            f"HER2 per nucleus over {len(tumour)}; the guideline uses the same nuclei"
        )
        if tumour.totals.exact_her2 == 6:
            yield (
                "HER2 per nucleus is exactly 6.0, which the paper's table has in "
                "groups 3 and 4; here it is 3, as in the guideline"
            )


def _per_nucleus(signals: int, nuclei: int) -> float | None:
    return signals / nuclei if nuclei else None
