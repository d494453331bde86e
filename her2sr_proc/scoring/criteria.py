"""The guideline's grounds for rejecting a test, each computed with value and limit.

A broken ground leaves no group; one that nobody measured blocks sign-off.
Source: Wolff et al. 2018, J Clin Oncol 36:2105, and 2013, J Clin Oncol 31:3997:
rejection criteria for ISH. Limits without a figure there are this program's own, see
docs/scoring.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from her2sr_proc.schema.assessment import Criterion, Evidence, Verdict
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.control import is_within
from her2sr_proc.scoring.cut import copies_of, lacking_by_cut, retained_shares
from her2sr_proc.scoring.groups import Totals
from her2sr_proc.scoring.sample import Sample

REJECTING = frozenset(
    {
        "nuclei lacking a colour",
        "weak signals",
        "signals over cytoplasm",
        "autofluorescence",
        "crosstalk",
        "nuclear resolution",
        "HER2 signals",
    }
)
"""Criteria that, broken, leave no group; the others block sign-off or ask for more."""


def criteria(
    sample: Sample, tumour: Sample, evidence: Evidence, params: ScoreParams
) -> tuple[Criterion, ...]:
    """Return every criterion of a sample; ``tumour`` is what is scored of it."""
    return (
        _nuclei(len(tumour), params),
        _areas(tumour, params),
        _lacking(tumour, params),
        _weak(tumour, params),
        _few_her2(tumour.totals, params),
        *_measured(evidence, params),
        _internal_control(sample.of_region("normal").totals),
        _external_control(evidence),
    )


def on_totals(
    totals: Totals, evidence: Evidence, params: ScoreParams
) -> tuple[Criterion, ...]:
    """Return every criterion; totals alone can meet or break few of them."""
    return (
        _nuclei(totals.nuclei, params),
        _unknown(
            "areas of tumour", params.minimum_areas, "how many areas were counted"
        ),
        _unknown(
            "nuclei lacking a colour",
            params.maximum_lacking,
            "how many nuclei lack a colour",
        ),
        _unknown("weak signals", params.maximum_weak, "how weak the signals are"),
        _few_her2(totals, params),
        *_measured(evidence, params),
        _internal_control(Totals(0, 0, 0)),
        _external_control(evidence),
    )


def areas_of(tumour: Sample) -> int | None:
    """Return how many areas of tumour were counted: marked ones, else fields."""
    codes = tumour.area if tumour.area is not None else tumour.field
    return None if codes is None else len(np.unique(codes))


def _nuclei(n: int, params: ScoreParams) -> Criterion:
    least = params.minimum_nuclei
    return Criterion(
        name="invasive nuclei",
        verdict="met" if n >= least else "broken",
        value=n,
        limit=least,
        words=f"{n} nuclei counted, {least} are required",
    )


def _areas(tumour: Sample, params: ScoreParams) -> Criterion:
    areas, least = areas_of(tumour), params.minimum_areas
    return Criterion(
        name="areas of tumour",
        verdict="unknown" if areas is None else _verdict(areas >= least),
        value=areas,
        limit=least,
        words="it is not known how many areas were counted"
        if areas is None
        else f"{areas} areas of tumour counted, {least} are required",
    )


def _lacking(tumour: Sample, params: ScoreParams) -> Criterion:
    n = len(tumour)
    most, why = _most_lacking(tumour, params)
    lacking = int(((tumour.her2 == 0) | (tumour.cep17 == 0)).sum())
    return Criterion(
        name="nuclei lacking a colour",
        verdict="unknown" if n == 0 else _verdict(Fraction(lacking, n) <= most),
        value=lacking / n if n else None,
        limit=float(most),
        words=f"{lacking} of {n} nuclei lack a colour; more than {_percent(most)} "
        f"reject the test{why}",
    )


def _most_lacking(tumour: Sample, params: ScoreParams) -> tuple[Fraction, str]:
    """Return the largest share of nuclei that may lack a colour, and why it is that."""
    most = _exact(params.maximum_lacking)
    if params.lacking == "guideline":
        return most, ""
    shares = retained_shares(params.section_um, params.nucleus_um)
    copies = [copies_of(shown, shares) for shown in (tumour.her2, tumour.cep17)]
    by_cut = _exact(round(lacking_by_cut(copies[0], copies[1], shares), 3))
    limit = by_cut + most * (1 - by_cut)
    chance = math.sqrt(limit * (1 - limit) / max(len(tumour), 1))
    why = (
        f": a section of {params.section_um:g} um takes a colour from "
        f"{_percent(by_cut)} of nuclei with {copies[0]} HER2 and {copies[1]} CEP17 "
        f"copies, {_percent(most)} of the others may lack one, and chance adds one "
        f"standard deviation"
    )
    return min(Fraction(1), _exact(round(float(limit) + chance, 3))), why


def _weak(tumour: Sample, params: ScoreParams) -> Criterion:
    """Weak: a colour of the nucleus has signals, and none is clear of the limits."""
    n, most = len(tumour), _exact(params.maximum_weak)
    if tumour.her2_low is None or tumour.cep17_low is None or n == 0:
        return _unknown("weak signals", most, "how weak the signals are")
    is_weak = (tumour.her2 > 0) & (tumour.her2_low == 0)
    is_weak |= (tumour.cep17 > 0) & (tumour.cep17_low == 0)
    weak = int(is_weak.sum())
    return Criterion(
        name="weak signals",
        verdict=_verdict(Fraction(weak, n) <= most),
        value=weak / n,
        limit=float(most),
        words=f"{weak} of {n} nuclei have only weak signals of a colour; more than "
        f"{_percent(most)} reject the test",
    )


def _few_her2(totals: Totals, params: ScoreParams) -> Criterion:
    mean, ratio = totals.exact_her2, totals.exact_ratio
    least = _exact(params.minimum_her2_per_nucleus)
    least_ratio = _exact(params.minimum_ratio)
    is_known = mean is not None
    enough = mean is not None and mean >= least
    enough = enough and (ratio is None or ratio >= least_ratio)
    return Criterion(
        name="HER2 signals",
        verdict=_verdict(enough) if is_known else "unknown",
        value=None if mean is None else float(mean),
        limit=params.minimum_her2_per_nucleus,
        words="no HER2 signal: the hybridization cannot be judged"
        if totals.her2 == 0
        else f"few HER2 signals: below {params.minimum_her2_per_nucleus:g} a nucleus, "
        f"or below {params.minimum_ratio:g} of the CEP17 signals: a failed HER2 probe "
        f"or swapped channels look like this",
    )


def _measured(evidence: Evidence, params: ScoreParams) -> Iterator[Criterion]:
    """Yield the criteria that are measured on images, not on counts."""
    upper = (
        ("signals over cytoplasm", evidence.cytoplasm_share, params.maximum_cytoplasm),
        (
            "autofluorescence",
            evidence.autofluorescence_share,
            params.maximum_autofluorescence,
        ),
        ("crosstalk", evidence.crosstalk_share, params.maximum_crosstalk),
    )
    for name, value, limit in upper:
        if value is None:
            if name != "crosstalk":  # no rule of the guideline: told where measured
                yield _unknown(name, _exact(limit), name)
            continue
        yield Criterion(
            name=name,
            verdict=_verdict(value <= limit),
            value=value,
            limit=limit,
            words=f"{name}: {100 * value:.0f} % of signals; more than "
            f"{100 * limit:.0f} % reject the test",
        )
    quality, least = evidence.nuclear_resolution, params.minimum_resolution
    if quality is None:
        yield _unknown("nuclear resolution", _exact(least), "nuclear resolution")
        return
    yield Criterion(
        name="nuclear resolution",
        verdict=_verdict(quality >= least),
        value=quality,
        limit=least,
        words=f"median quality of nuclei {quality:.2f}; below {least:g} rejects the "
        f"test",
    )


def _internal_control(normal: Totals) -> Criterion:
    within = is_within(normal)
    said = "unknown" if normal.ratio is None else f"{normal.ratio:.2f}"
    return Criterion(
        name="internal control",
        verdict="unknown" if within is None else _verdict(within),
        value=normal.ratio,
        limit=0.15,
        words=f"ratio of {normal.nuclei} normal nuclei of the slide {said}; 1.0 within "
        f"0.15 is expected",
    )


def _external_control(evidence: Evidence) -> Criterion:
    passed = evidence.external_controls_passed
    return Criterion(
        name="external controls",
        verdict="unknown" if passed is None else _verdict(passed),
        limit=1,
        words="the laboratory's control slides were not as expected"
        if passed is False
        else "nobody said whether the laboratory's control slides were as expected"
        if passed is None
        else "the laboratory's control slides were as expected",
    )


def _unknown(name: str, limit: Fraction | float, what: str) -> Criterion:
    return Criterion(
        name=name,
        verdict="unknown",
        limit=float(limit),
        words=f"{what} was not measured",
    )


def _exact(limit: float) -> Fraction:
    """Return the fraction that a limit is written as: 0.1 is a tenth."""
    return Fraction(str(limit))


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):g} %"


def _verdict(is_met: bool) -> Verdict:
    return "met" if is_met else "broken"
