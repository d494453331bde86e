"""Table 1: characteristics of the samples by HER2 status. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from her2sr_proc.schema.cohort import Cohort, Feature, Sample
from her2sr_proc.statistics.contingency import chi_squared, fisher
from her2sr_proc.statistics.formats import DASH, count_share, fixed, quartile
from her2sr_proc.statistics.ranks import mann_whitney
from her2sr_proc.statistics.summary import summarize
from her2sr_proc.statistics.tables import Forms, Row, Table, tested

COLUMNS = ("Characteristic", "Total", "HER2-positive", "HER2-negative")


def characteristics_table(cohort: Cohort) -> Table:
    """Return table 1: counts with percentages of all, or medians; tests by status.

    Ordinal and continuous characteristics: Mann-Whitney, asymptotic with continuity
    correction, beside the exact one. Nominal: Pearson's chi-squared without Yates'
    correction, beside Fisher's exact test.
    """
    split = _split(cohort.samples)
    sizes = [str(len(group)) for group in split]
    rows = [Row("Samples", tuple(sizes))]
    for feature in cohort.features:
        rows += _feature_rows(feature, split)
    return Table(
        key="table1",
        title="Characteristics by HER2 status of the routine diagnosis",
        columns=COLUMNS,
        rows=tuple(rows),
        notes=(
            "Counts with percentages of all samples of which the characteristic is "
            "known; medians with range; quartiles at (n + 1) p.",
            "Continuous and ordinal: Mann-Whitney U test, asymptotic with continuity "
            "correction, and exact given the ties. Nominal: Pearson's chi-squared "
            "without Yates' correction, and Fisher's exact test.",
        ),
    )


def _split(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return all samples, the positive ones, the negative ones."""
    return [
        list(samples),
        [s for s in samples if s.status == "positive"],
        [s for s in samples if s.status == "negative"],
    ]


def _feature_rows(feature: Feature, split: list[list[Sample]]) -> list[Row]:
    known = [[s for s in group if feature.name in s.features] for group in split]
    missing = len(split[0]) - len(known[0])
    note = f"not known of {missing}" if missing else ""
    if feature.kind == "nominal" or feature.levels:
        return _level_rows(feature, known, missing, note)
    values = [[float(s.features[feature.name]) for s in group] for group in known]
    return _value_rows(feature, values, missing, note)


def _value_rows(
    feature: Feature, values: list[list[float]], missing: int, note: str
) -> list[Row]:
    found = [summarize(group) if group else None for group in values]
    ranges = tuple(
        f"{fixed(s.median, 1)} ({fixed(s.minimum, 1)}; {fixed(s.maximum, 1)})"
        if s
        else DASH
        for s in found
    )
    quartiles = tuple(
        f"{quartile(s.q1)}; {quartile(s.q3)}" if s else DASH for s in found
    )
    tests = _ranked(values[1], values[2], missing)
    return [
        Row(feature.title, tests=tests, level=0, note=note),
        Row("Median (min; max)", ranges),
        Row("Q1; Q3", quartiles),
    ]


def _level_rows(
    feature: Feature, known: list[list[Sample]], missing: int, note: str
) -> list[Row]:
    levels = feature.levels or _found_levels(feature, known[0])
    titles = dict(zip(feature.levels, feature.level_titles, strict=True))
    texts = [[str(s.features[feature.name]) for s in group] for group in known]
    total = len(texts[0])
    counts = {level: [group.count(level) for group in texts] for level in levels}
    shown = [level for level in levels if counts[level][0]]
    if feature.kind == "nominal":
        table = [[counts[level][1], counts[level][2]] for level in shown]
        tests = tested(partial(chi_squared, table), partial(fisher, table), missing)
    else:
        place = {level: float(n) for n, level in enumerate(levels)}
        tests = _ranked(
            [place[t] for t in texts[1]], [place[t] for t in texts[2]], missing
        )
    return [
        Row(f"{feature.title}, n (%)", tests=tests, level=0, note=note),
        *(
            Row(
                titles.get(level, level),
                tuple(count_share(c, total) for c in counts[level]),
            )
            for level in shown
        ),
    ]


def _found_levels(feature: Feature, samples: list[Sample]) -> tuple[str, ...]:
    """Return the values that occur, numbers in their order, before words in theirs."""
    found = {str(s.features[feature.name]) for s in samples}
    return tuple(sorted(found, key=lambda t: (not t.isdecimal(), len(t), t)))


def _ranked(first: list[float], second: list[float], missing: int) -> Forms:
    return tested(
        partial(mann_whitney, first, second, exactness="asymptotic", continuity=True),
        partial(mann_whitney, first, second, exactness="exact"),
        missing,
    )
