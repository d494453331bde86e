"""Normal nuclei of the same slide: the internal control, and what CEP17 means.

A section cuts copies away, so that fewer than two CEP17 signals a nucleus say nothing
of a lost chromosome. Normal nuclei are cut alike and carry two.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from her2sr_proc.schema.assessment import Control, Interval, Subset
from her2sr_proc.scoring.groups import Totals, group_of
from her2sr_proc.scoring.intervals import Spread, fieller, ratio_interval, spread
from her2sr_proc.scoring.sample import Sample

EXPECTED, TOLERANCE = Fraction(1), Fraction(3, 20)
LOST, GAINED = 1.5, 2.5
"""Copies a cell below, or above, which the whole interval must lie to be named."""


def subset(sample: Sample, *, confidence: float, group: bool = True) -> Subset:
    """Return sums, ratio, interval and group of some nuclei."""
    totals = sample.totals
    mean = totals.exact_her2
    return Subset(
        nuclei=totals.nuclei,
        her2_signals=totals.her2,
        cep17_signals=totals.cep17,
        her2_per_nucleus=None if mean is None else float(mean),
        ratio=totals.ratio,
        ratio_interval_95=ratio_interval(
            sample.her2, sample.cep17, confidence, sample.field
        ),
        group=group_of(totals) if group else None,
    )


def control(sample: Sample, tumour: Sample, *, confidence: float) -> Control:
    """Return the internal control of a sample; ``tumour`` is what is scored of it."""
    normal = sample.of_region("normal")
    copies = interval = None
    if len(normal) and normal.totals.cep17:
        mine, theirs = tumour.totals, normal.totals
        if mine.nuclei:
            exact = Fraction(mine.cep17, mine.nuclei) * theirs.nuclei
            copies = float(2 * exact / theirs.cep17)
            interval = _copies_interval(tumour, normal, confidence)
    return Control(
        normal=subset(normal, confidence=confidence, group=False),
        is_within=is_within(normal.totals),
        tumour_cep17_copies=copies,
        tumour_cep17_copies_95=interval,
    )


def is_within(normal: Totals) -> bool | None:
    """Return whether normal nuclei show 1.0 +- 0.15; None without a ratio."""
    ratio = normal.exact_ratio
    return None if ratio is None else abs(ratio - EXPECTED) <= TOLERANCE


def chromosome_words(found: Control) -> Iterator[str]:
    """Yield what normal nuclei of the slide tell of chromosome 17 in the tumour."""
    interval = found.tumour_cep17_copies_95
    if interval is None:
        yield (
            "loss or gain of chromosome 17 cannot be told: no normal nuclei of this "
            "slide stand beside the tumour's, and fewer than 2 CEP17 signals in a cut "
            "nucleus are no monosomy"
        )
        return
    told = f"{found.tumour_cep17_copies:.1f} copies a cell, 95 % {interval[0]:.1f} to "
    told += f"{interval[1]:.1f}, from normal nuclei of this slide"
    if interval[1] < LOST:
        yield f"CEP17 lost in the tumour (monosomy): {told}"
    elif interval[0] > GAINED:
        yield f"CEP17 gained in the tumour (polysomy): {told}"
    else:
        yield f"CEP17 of the tumour not distinguishable from two: {told}"


def _copies_interval(
    tumour: Sample, normal: Sample, confidence: float
) -> Interval | None:
    mine = spread(tumour.cep17, tumour.cep17, tumour.field)
    theirs = spread(normal.cep17, normal.cep17, normal.field)
    if mine is None or theirs is None:
        return None
    both = Spread(
        her2=2.0 * mine.cep17,
        cep17=theirs.cep17,
        her2_variance=4.0 * mine.cep17_variance,
        covariance=0.0,
        cep17_variance=theirs.cep17_variance,
        degrees=min(mine.degrees, theirs.degrees),
        clusters=0,
    )
    return fieller(both, confidence)
