"""Table 3: ISH groups of one arm against the other, and what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.cohort import Cohort, GroupCell, Sample
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.agreement import kappa
from her2sr_proc.statistics.contingency import fisher, mcnemar
from her2sr_proc.statistics.formats import fixed, percent
from her2sr_proc.statistics.quantities import ARM_TITLES, GROUP_CELLS, group_in
from her2sr_proc.statistics.summary import Proportion, clopper_pearson
from her2sr_proc.statistics.tables import Forms, Row, Table

GROUP_TITLES: dict[GroupCell, str] = {
    "1": "Group 1",
    "2": "Group 2",
    "3": "Group 3",
    "4": "Group 4",
    "5": "Group 5",
    "unevaluable": "Unevaluable",
}
Pair = tuple[GroupCell, GroupCell]


def group_pairs(cohort: Cohort, arm: ArmName) -> list[tuple[Sample, Pair]]:
    """Return the samples of which both arms tell a group, or that there is none."""
    found = []
    for sample in cohort.samples:
        first, second = group_in(sample, "conventional"), group_in(sample, arm)
        if first is not None and second is not None:
            found.append((sample, (first, second)))
    return found


def group_table(cohort: Cohort, arm: ArmName) -> Table:
    """Return table 3: conventional groups in rows, those of ``arm`` in columns."""
    pairs = [pair for _, pair in group_pairs(cohort, arm)]
    unknown = len(cohort.samples) - len(pairs)
    rows = tuple(
        Row(GROUP_TITLES[a], tuple(str(pairs.count((a, b))) for b in GROUP_CELLS))
        for a in GROUP_CELLS
    )
    notes = [
        f"Rows: conventional; columns: {ARM_TITLES[arm].lower()}. Group 1: ratio ≥ 2.0 "
        f"and HER2 ≥ 4.0 per nucleus; 2: ≥ 2.0, < 4.0; 3: < 2.0, ≥ 6.0; 4: < 2.0, "
        f"≥ 4.0 and < 6.0; 5: < 2.0, < 4.0 (Wolff et al. 2018).",
        "Groups 2 to 4 need IHC of the same tissue before anything is concluded.",
    ]
    if unknown:
        notes.append(f"{unknown} samples have no group in one of the arms.")
    return Table(
        key="table3",
        title="ISH groups of both arms",
        columns=("Conventional", *(GROUP_TITLES[b] for b in GROUP_CELLS)),
        rows=rows,
        notes=tuple(notes),
        has_tests=False,
    )


def change_rows(cohort: Cohort, arm: ArmName) -> Iterator[Row]:
    """Yield how far the groups of both arms agree, and whether changes lean one way."""
    found = group_pairs(cohort, arm)
    pairs = [pair for _, pair in found]
    both = [p for p in pairs if "unevaluable" not in p]
    if not pairs:
        yield Row("Groups", ("not known in both arms",))
        return
    if both:
        same = sum(a == b for a, b in both)
        yield Row(
            "Same group, of those evaluable in both", share_cells(same, len(both))
        )
        yield kappa_row(both)
    moved = sum(a != b for a, b in both)
    yield Row("Other group, of all samples", share_cells(moved, len(pairs)))
    lost = [b for a, b in pairs if a == "unevaluable"]
    if lost:
        gained = sum(b != "unevaluable" for b in lost)
        yield Row(
            "Evaluable by super-resolution, of those not evaluable conventionally",
            share_cells(gained, len(lost)),
        )
    yield from _mcnemar_rows(both)
    yield from _relapse_row(found)


def share_cells(successes: int, n: int) -> tuple[str, str]:
    """Return a share as counts, and in percent with its interval."""
    return f"{successes} of {n}", interval_text(clopper_pearson(successes, n))


def interval_text(share: Proportion) -> str:
    """Return a share with its interval, and by whom."""
    return (
        f"{percent(share.share)} (95 % {fixed(100 * share.low, 1)} to "
        f"{fixed(100 * share.high, 1)}, {share.method})"
    )


def kappa_row(both: Sequence[Pair]) -> Row:
    """Return Cohen's kappa of pairs of groups, or why there is none."""
    used = [g for g in GROUP_CELLS if any(g in pair for pair in both)]
    label = "Cohen's kappa of the groups, unweighted"
    if len(used) < 2:
        return Row(label, ("not defined: one group alone",))
    counts = [[both.count((a, b)) for b in used] for a in used]
    try:
        found = kappa(counts)
    except RequestError as exc:
        return Row(label, ("not defined",), note=str(exc))
    if found.interval_95 is None:
        reach = "full agreement: read the interval of the share"
    else:
        low, high = found.interval_95
        reach = f"95 % {fixed(low, 3)} to {fixed(high, 3)}, asymptotic; n = {found.n}"
    return Row(label, (fixed(found.kappa, 3), reach))


def _mcnemar_rows(both: list[Pair]) -> Iterator[Row]:
    """Yield a test for every two groups between which a sample moved."""
    for n, a in enumerate(GROUP_CELLS):
        for b in GROUP_CELLS[n + 1 :]:
            there, back = both.count((a, b)), both.count((b, a))
            if there + back == 0:
                continue
            tests = Forms(
                asymptotic=mcnemar(there, back, exactness="asymptotic"),
                exact=mcnemar(there, back),
            )
            yield Row(
                f"Moves between {GROUP_TITLES[a].lower()} and "
                f"{GROUP_TITLES[b].lower()}",
                (f"{there} there, {back} back", "McNemar's test"),
                tests,
            )


def _relapse_row(found: list[tuple[Sample, Pair]]) -> Iterator[Row]:
    """Yield relapse against group 2 among routine negatives, where it is known."""
    cells = [
        (s.features["follow_up"] == "relapse", pair[1] == "2")
        for s, pair in found
        if s.status == "negative" and "follow_up" in s.features
    ]
    table = [[cells.count((r, g)) for g in (True, False)] for r in (True, False)]
    if min(sum(table[0]), sum(table[1])) == 0:
        return
    try:
        exact = fisher(table)
    except RequestError:  # group 2 in all samples or in none: nothing to compare
        return
    yield Row(
        "Relapse in group 2 against other groups, routine negatives",
        (
            f"{table[0][0]} of {table[0][0] + table[1][0]} against "
            f"{table[0][1]} of {table[0][1] + table[1][1]}",
            "Fisher's exact test; exploratory",
        ),
        Forms(exact=exact),
    )
