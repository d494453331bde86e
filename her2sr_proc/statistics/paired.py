"""Table 2: what both arms counted in the same samples. Pure."""

from __future__ import annotations

from functools import partial

from her2sr_proc.schema.cohort import Cohort, HerStatus, Sample
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.formats import DASH, fixed, short
from her2sr_proc.statistics.quantities import (
    ARM_TITLES,
    QUANTITIES,
    Quantity,
    value_of,
)
from her2sr_proc.statistics.ranks import wilcoxon
from her2sr_proc.statistics.summary import summarize
from her2sr_proc.statistics.tables import Row, Table, tested


def paired_table(cohort: Cohort, arm: ArmName) -> Table:
    """Return table 2: conventional against ``arm``, medians, by HER2 status.

    Wilcoxon's signed-rank test over the samples with both values: asymptotic without
    continuity correction, and exact given ties. Pairs without a difference are left
    out and told in the list of tests.
    """
    rows: list[Row] = []
    statuses: tuple[HerStatus, ...] = ("negative", "positive")
    for status in statuses:
        samples = [s for s in cohort.samples if s.status == status]
        rows.append(Row(f"Routine HER2-{status}", level=0))
        rows += [_row(samples, arm, quantity) for quantity in QUANTITIES]
    return Table(
        key="table2",
        title=f"Signals: conventional against {ARM_TITLES[arm].lower()}",
        columns=("Quantity", ARM_TITLES["conventional"], ARM_TITLES[arm], "Pairs"),
        rows=tuple(rows),
        notes=(
            "Median (min; max) over all samples with a value; Pairs: samples with "
            "both values, of which zero differences are left out of the test.",
            "Wilcoxon signed-rank test, asymptotic without continuity correction, and "
            "exact given the ties.",
        ),
    )


def _row(samples: list[Sample], arm: ArmName, quantity: Quantity) -> Row:
    values = [
        (value_of(s, "conventional", quantity), value_of(s, arm, quantity))
        for s in samples
    ]
    pairs = [(a, b) for a, b in values if a is not None and b is not None]
    firsts = [a for a, _ in values if a is not None]
    seconds = [b for _, b in values if b is not None]
    if not firsts and not seconds:
        return Row(quantity.title, (DASH, DASH, "0"))
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    tests = tested(
        partial(wilcoxon, before, after, exactness="asymptotic", continuity=False),
        partial(wilcoxon, before, after, exactness="exact"),
        len(samples) - len(pairs),
    )
    cells = (_spread(firsts, quantity), _spread(seconds, quantity), str(len(pairs)))
    return Row(quantity.title, cells, tests)


def _spread(values: list[float], quantity: Quantity) -> str:
    if not values:
        return DASH
    s = summarize(values)
    show = fixed if quantity.digits > 1 else short
    median, low, high = (
        show(v, quantity.digits) for v in (s.median, s.minimum, s.maximum)
    )
    return median if low == high else f"{median} ({low}; {high})"
