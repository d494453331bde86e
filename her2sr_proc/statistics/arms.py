"""The fourth table: how far both arms agree, on groups and on numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.cohort import Cohort
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.agreement import BlandAltman, bland_altman, icc
from her2sr_proc.statistics.formats import fixed, p_equals
from her2sr_proc.statistics.groups import change_rows
from her2sr_proc.statistics.quantities import (
    CEP17_PER_NUCLEUS,
    HER2_PER_NUCLEUS,
    RATIO,
    Quantity,
    value_of,
)
from her2sr_proc.statistics.tables import Row, Table

COMPARED = (HER2_PER_NUCLEUS, CEP17_PER_NUCLEUS, RATIO)


def value_pairs(
    cohort: Cohort, arm: ArmName, quantity: Quantity
) -> list[tuple[str, float, float]]:
    """Return sample, conventional value and that of ``arm``, where both are known."""
    found = []
    for sample in cohort.samples:
        first = value_of(sample, "conventional", quantity)
        second = value_of(sample, arm, quantity)
        if first is not None and second is not None:
            found.append((sample.sample, first, second))
    return found


def agreement_table(cohort: Cohort, arm: ArmName) -> Table:
    """Return group agreement, then ICC(2,1) and Bland-Altman of the numbers."""
    rows = [Row("ISH groups", level=0), *change_rows(cohort, arm)]
    for quantity in COMPARED:
        rows.append(Row(quantity.title, level=0))
        rows += _number_rows(cohort, arm, quantity)
    return Table(
        key="agreement",
        title="Agreement of the arms",
        columns=("What", "Value", "Interval or test"),
        rows=tuple(rows),
        notes=(
            "The arms look at the same nuclei in different ways: a difference is not "
            "an error of one of them unless the truth is known.",
            "Differences are super-resolution less conventional; limits of agreement "
            "hold about 95 % of differences.",
        ),
    )


def _number_rows(cohort: Cohort, arm: ArmName, quantity: Quantity) -> Iterator[Row]:
    pairs = value_pairs(cohort, arm, quantity)
    if len(pairs) < 2:
        few = f"{len(pairs)} samples have a value in both arms, and 2 are needed"
        yield Row("not told", note=few)
        return
    yield from number_rows([(a, b) for _, a, b in pairs])


def number_rows(pairs: Sequence[tuple[float, float]]) -> Iterator[Row]:
    """Yield ICC(2,1) and Bland-Altman of pairs, or why there is none."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    try:
        found = bland_altman(first, second)
        yield icc_row(pairs)
    except RequestError as exc:
        yield Row("not told", (f"{len(pairs)} pairs",), note=str(exc))
        return
    yield from _bland_altman_rows(found)


def icc_row(ratings: Sequence[Sequence[float]]) -> Row:
    """Return ICC(2,1) with its interval. Raises `RequestError` as `icc` does."""
    found = icc(ratings)
    low, high = found.interval_95
    cells = (fixed(found.icc, 3), f"95 % {fixed(low, 3)} to {fixed(high, 3)}")
    return Row(f"ICC(2,1), n = {len(ratings)}, {found.raters} ratings each", cells)


def _bland_altman_rows(found: BlandAltman) -> Iterator[Row]:
    yield Row("Bland-Altman bias", _with_interval(found.bias, found.bias_interval_95))
    yield Row(
        "lower limit of agreement",
        _with_interval(found.lower_limit, found.lower_limit_interval_95),
    )
    yield Row(
        "upper limit of agreement",
        _with_interval(found.upper_limit, found.upper_limit_interval_95),
    )
    if found.slope is not None and found.slope_p is not None:
        yield Row(
            "slope of the difference over the mean",
            (fixed(found.slope, 2), f"{p_equals(found.slope_p)}, linear regression"),
        )


def _with_interval(value: float, interval: tuple[float, float]) -> tuple[str, str]:
    low, high = interval
    return fixed(value, 2), f"95 % {fixed(low, 2)} to {fixed(high, 2)}"
