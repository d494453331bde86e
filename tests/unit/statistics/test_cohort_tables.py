"""Tables 2 and 3 and the agreement table, from counts made by hand."""

import pytest

from her2sr_proc.schema.cohort import FEATURES, ArmFigures, Cohort, Sample
from her2sr_proc.statistics.arms import agreement_table
from her2sr_proc.statistics.characteristics import characteristics_table
from her2sr_proc.statistics.formats import count_share, fixed, p_text, quartile, short
from her2sr_proc.statistics.groups import group_pairs
from her2sr_proc.statistics.paired import paired_table
from her2sr_proc.statistics.quantities import (
    HER2_PER_NUCLEUS,
    RATIO,
    contradictions,
    group_in,
    value_of,
)


def figures(her2, cep17, nuclei, **more):
    return ArmFigures(her2_signals=her2, cep17_signals=cep17, nuclei=nuclei, **more)


def sample(name, status="negative", conventional=None, sr=None, **features):
    arms = {"conventional": conventional, "sr": sr}
    return Sample(
        sample=name,
        status=status,
        features=features,
        arms={arm: f for arm, f in arms.items() if f is not None},
    )


def cohort(*samples, features=()):
    known = {feature.name: feature for feature in FEATURES}
    return Cohort(
        name="c", features=tuple(known[n] for n in features), samples=tuple(samples)
    )


GROUPS = [
    (figures(80, 40, 20), "1"),
    (figures(79, 39, 20), "2"),
    (figures(120, 61, 20), "3"),
    (figures(119, 60, 20), "4"),
    (figures(79, 60, 20), "5"),
    (figures(40, 0, 20), "unevaluable"),
    (figures(0, 0, 0), "unevaluable"),
    (ArmFigures(group="2"), "2"),
    (ArmFigures(her2_signals=80, cep17_signals=40), None),  # of how many nuclei?
    (figures(80, 40, 20, ratio=2.0), None),  # the ratio is of other nuclei
    (ArmFigures(), None),
]


@pytest.mark.parametrize(("arm", "group"), GROUPS)
def test_a_group_is_the_given_one_or_that_of_whole_numbers(arm, group):
    assert group_in(sample("s", sr=arm), "sr") == group


def test_no_ratio_without_cep17_and_none_per_nucleus_without_nuclei():
    none = sample("s", sr=figures(40, 0, 0))
    assert value_of(none, "sr", RATIO) is None
    assert value_of(none, "sr", HER2_PER_NUCLEUS) is None
    assert value_of(none, "conventional", RATIO) is None


def test_signals_per_nucleus_are_over_those_with_signals_where_only_they_are_told():
    one = sample("s", sr=ArmFigures(her2_signals=30, her2_nuclei=10))
    assert value_of(one, "sr", HER2_PER_NUCLEUS) == 3.0


def test_a_given_group_that_counts_deny_is_told():
    wrong = sample("s", sr=figures(80, 40, 20, group="5"))
    (said,) = contradictions(cohort(wrong))
    assert said.startswith("s: ")
    assert "group 5" in said
    assert "say 1" in said


def test_table_2_pairs_samples_and_tells_who_is_left_out():
    samples = [
        sample(
            f"n{n}",
            conventional=figures(20 + n, 20, 10),
            sr=figures(30 + 2 * n, 20, 10),
        )
        for n in range(6)
    ]
    samples.append(sample("n6", sr=figures(99, 20, 10)))
    table = paired_table(cohort(*samples), "sr")
    row = next(r for r in table.rows if r.label == "HER2 signals")
    assert row.cells == ("22.5 (20; 25)", "36 (30; 99)", "6")
    assert row.tests.exact.p == pytest.approx(2 / 2**6)
    assert row.tests.exact.left_out == 1
    same = next(r for r in table.rows if r.label == "CEP17 signals")
    assert same.cells == ("20", "20", "6")
    assert "0 of 6 pairs differ" in same.tests.refused


def test_forms_that_disagree_at_0_05_are_marked():
    samples = [
        sample(f"p{n}", "positive", figures(10 + n, 9, 9), figures(20 + 2 * n, 9, 9))
        for n in range(5)
    ]
    table = paired_table(cohort(*samples), "sr")
    rows = [r for r in table.rows if r.label == "HER2 signals"]
    assert rows[1].tests.disagree  # 0.043 asymptotic, 0.0625 exact
    assert not rows[0].tests.disagree


def test_table_1_says_why_there_is_no_test():
    alone = cohort(
        sample("s1", age_years=60.0, ihc="1"),
        sample("s2", age_years=70.0, ihc="1"),
        features=("age_years", "ihc"),
    )
    rows = {r.label: r for r in characteristics_table(alone).rows}
    assert "has 0 values" in rows["Age, years"].tests.refused
    assert "at least two" in rows["HER2 status (IHC), n (%)"].tests.refused


def test_table_1_counts_those_of_whom_nothing_is_known():
    some = cohort(
        sample("a", "positive", age_years=50.0),
        sample("b", "positive", age_years=60.0),
        sample("c", age_years=70.0),
        sample("d", age_years=80.0),
        sample("e"),
        features=("age_years",),
    )
    row = next(r for r in characteristics_table(some).rows if r.label == "Age, years")
    assert row.note == "not known of 1"
    assert row.tests.exact.left_out == 1
    assert row.tests.exact.n == (2, 2)


def test_samples_without_a_group_in_both_arms_are_no_pair():
    got = group_pairs(
        cohort(
            sample("a", conventional=ArmFigures(group="5"), sr=ArmFigures(group="2")),
            sample("b", sr=ArmFigures(group="2")),
        ),
        "sr",
    )
    assert [(s.sample, pair) for s, pair in got] == [("a", ("5", "2"))]


def test_agreement_of_arms_by_hand():
    samples = [
        sample(
            f"s{n}",
            conventional=figures(10 * m, 20, 10),
            sr=figures(10 * m + 10, 20, 10),
        )
        for n, m in enumerate((2, 4, 6, 8))
    ]
    rows = agreement_table(cohort(*samples), "sr").rows
    at = [r.label for r in rows].index("HER2 signals per nucleus")
    # means 2.5 4.5 6.5 8.5, cases 2 * 20/3; raters 4 * 0.5; rest 0
    value = (40 / 3) / (40 / 3 + 2 * 2 / 4)
    assert rows[at + 1].cells[0] == fixed(value, 3)
    assert rows[at + 2].cells == ("1.00", "95 % 1.00 to 1.00")


def test_a_cohort_without_counts_has_tables_that_say_so():
    bare = cohort(sample("a"), sample("b", "positive"))
    assert {r.cells for r in paired_table(bare, "sr").rows if r.level} == {
        ("–", "–", "0")
    }
    rows = agreement_table(bare, "sr").rows
    assert rows[1].cells == ("not known in both arms",)
    assert "2 are needed" in rows[3].note


ROUNDED = [
    (fixed, 30.25, "30.3"),
    (fixed, -0.04, "0.0"),
    (fixed, -0.05, "-0.1"),
    (fixed, None, "–"),
]


@pytest.mark.parametrize(("form", "value", "text"), ROUNDED)
def test_halves_are_rounded_away_from_zero(form, value, text):
    assert form(value, 1) == text


def test_numbers_as_the_paper_writes_them():
    assert [quartile(v) for v in (55.0, 84.25, 79.5)] == ["55.0", "84.25", "79.5"]
    assert [short(v, 1) for v in (12.0, 6.5)] == ["12", "6.5"]
    assert count_share(5, 14) == "5 (35.7)"
    assert count_share(0, 14) == "0"
    assert [p_text(p) for p in (0.4629, 0.0039, 0.0002, 1.0, 0.0999)] == [
        "0.46",
        "0.004",
        "< 0.001",
        "1.00",
        "0.100",
    ]
