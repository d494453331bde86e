"""The paper's printed statistics: what reproduces is golden, what does not is shown.

Numbers of Peg et al. 2024, Diagn Pathol 19:32, tables 1 to 3. Ages and sizes are those
that the printed medians, ranges and quartiles solve for; where they leave a choice,
every choice is tried.
"""

import itertools

import numpy as np
import paper_cohort
import pytest

from her2sr_proc.statistics.agreement import kappa
from her2sr_proc.statistics.characteristics import characteristics_table
from her2sr_proc.statistics.contingency import chi_squared, fisher, mcnemar
from her2sr_proc.statistics.groups import change_rows, group_table
from her2sr_proc.statistics.ranks import mann_whitney, paired_t, wilcoxon
from her2sr_proc.statistics.regression import threshold_line
from her2sr_proc.statistics.summary import clopper_pearson, summarize
from her2sr_proc.store.cohort import read_cohort

AGES = [54, 56, 67, 73, 86], [51, 54, 69, 78, 82, None, 84, 85, 87]
SIZES = [14, 22, 23, 35, 70], [10, 13, 18, None, 22, 23, 27, 30, 31]
PT = [1, 1, 2, 2, 3], [1, 1, 1, 2, 2, 2, 2, 2, 4]
TABLES = {
    "tumour type": ([[5, 6], [0, 3]], 0.145272, "0.15"),
    "pN": ([[3, 5], [2, 4]], 0.872081, "0.87"),
    "systemic therapy": ([[4, 7], [1, 2]], 0.92265, "0.92"),
    "IHC": ([[0, 7], [1, 2], [4, 0]], 0.003895, "< 0.01"),
    "status by super-resolution": ([[5, 0], [0, 9]], 0.000183, "< 0.001"),
}
TABLE3 = [[3, 0, 0], [0, 1, 0], [0, 2, 5]]
"""Groups 1, 2, 5 of the samples that are evaluable in both arms."""


def printed(p: float, as_printed: str) -> bool:
    """Whether a p-value rounds to what the paper prints."""
    if as_printed.startswith("<"):
        return p < float(as_printed[1:])
    return f"{p:.2f}" == as_printed


@pytest.mark.parametrize(("table", "p", "shown"), TABLES.values(), ids=TABLES)
def test_chi_squared_without_yates_is_the_papers(table, p, shown):
    found = chi_squared(table)
    assert found.p == pytest.approx(p, abs=5e-7)
    assert printed(found.p, shown)


def test_yates_is_ruled_out_by_the_status_row():
    assert not printed(chi_squared([[5, 0], [0, 9]], yates=True).p, "< 0.001")


def test_exact_p_of_the_status_and_ihc_rows():
    assert fisher([[5, 0], [0, 9]]).p == pytest.approx(1 / 2002)
    # of 2002 ways to choose 5 of 14, 3 give this table, and no other is so rare
    assert fisher([[0, 7], [1, 2], [4, 0]]).p == pytest.approx(3 / 2002)


def filled(values, number):
    return [number if value is None else value for value in values]


@pytest.mark.parametrize("sixth", [82, 83, 84])
def test_age_with_its_quartiles_and_p(sixth):
    positive, negative = AGES[0], filled(AGES[1], sixth)
    assert printed(mann_whitney(positive, negative).p, "0.46")
    found = summarize(positive + negative)
    assert (found.q1, found.q3, found.median) == (55.5, 84.25, 75.5)
    assert (summarize(positive).q1, summarize(positive).q3) == (55.0, 79.5)
    assert (summarize(negative).q1, summarize(negative).q3) == (61.5, 84.5)


@pytest.mark.parametrize("fourth", [18, 19, 20, 21])
def test_tumour_size_with_its_quartiles_and_p(fourth):
    positive, negative = SIZES[0], filled(SIZES[1], fourth)
    assert printed(mann_whitney(positive, negative).p, "0.35")
    found = summarize(positive + negative)
    assert (found.q1, found.q3, found.median) == (17.0, 30.25, 22.5)
    assert (summarize(negative).q1, summarize(negative).q3) == (15.5, 28.5)


def test_other_rules_of_quartiles_do_not_give_the_papers():
    for method in ("linear", "hazen", "median_unbiased", "inverted_cdf"):
        q1, q3 = np.percentile(AGES[0], [25, 75], method=method)
        assert (q1, q3) != (55.0, 79.5)


def test_pt_tells_the_continuity_correction_apart():
    assert printed(mann_whitney(*PT).p, "1.00")
    assert not printed(mann_whitney(*PT, continuity=False).p, "1.00")
    assert not printed(mann_whitney(*PT, exactness="exact").p, "1.00")


def test_exact_p_given_ties_fits_age_and_size_too():
    ages = AGES[0], filled(AGES[1], 83)
    sizes = SIZES[0], filled(SIZES[1], 19)
    assert printed(mann_whitney(*ages, exactness="exact").p, "0.46")
    assert printed(mann_whitney(*sizes, exactness="exact").p, "0.35")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    path = tmp_path_factory.mktemp("paper") / "peg2024.csv"
    path.write_text(paper_cohort.as_csv())
    return read_cohort(path)


TABLE1 = {
    "Age, years": ("0.46", None),
    "Median (min; max)": (
        None,
        ("75.5 (51.0; 87.0)", "67.0 (54.0; 86.0)", "82.0 (51.0; 87.0)"),
    ),
    "Q1; Q3": (None, ("55.5; 84.25", "55.0; 79.5", "61.5; 84.5")),
    "pT, n (%)": ("1.00", None),
    "pT1": (None, ("5 (35.7)", "2 (14.3)", "3 (21.4)")),
    "pT4": (None, ("1 (7.1)", "0", "1 (7.1)")),
    "Tumour size, mm": ("0.35", None),
    "Tumour type, n (%)": ("0.15", None),
    "NST": (None, ("11 (78.6)", "5 (35.7)", "6 (42.9)")),  # printed 41.9: a misprint
    "pN, n (%)": ("0.87", None),
    "Systemic therapy, n (%)": ("0.92", None),
    "Response": (None, ("11 (78.6)", "4 (28.6)", "7 (50.0)")),
    "HER2 status (IHC), n (%)": ("0.004", None),
    "3+": (None, ("4 (28.6)", "4 (28.6)", "0")),
    "HER2 status (super-resolution), n (%)": ("< 0.001", None),
}


def test_table_1_is_the_programs_own_output(cohort):
    records = list(characteristics_table(cohort).records())
    rows: dict[str, tuple[str, ...]] = {}
    for record in records:
        rows.setdefault(record[0], record)
    for label, (p, cells) in TABLE1.items():
        assert p is None or rows[label][4] == p, label
        assert cells is None or rows[label][1:4] == cells, label


def test_table_3_is_the_programs_own_output(cohort):
    got = [row.cells for row in group_table(cohort, "sr").rows]
    assert got == [
        ("3", "0", "0", "0", "0", "0"),
        ("0", "1", "0", "0", "0", "0"),
        ("0", "0", "0", "0", "0", "0"),
        ("0", "0", "0", "0", "0", "0"),
        ("0", "2", "0", "0", "5", "0"),
        ("2", "0", "0", "0", "1", "0"),
    ]


def test_what_follows_from_table_3():
    found = kappa(TABLE3)
    assert found.kappa == pytest.approx(0.703, abs=5e-4)
    assert (found.agreement.successes, found.n) == (9, 11)
    assert mcnemar(2, 0).p == 0.5
    share = clopper_pearson(2, 14)
    assert (share.low, share.high) == pytest.approx((0.018, 0.428), abs=5e-4)
    assert fisher([[2, 0], [1, 6]]).p == pytest.approx(1 / 12)


def test_the_page_tells_what_follows_from_table_3(cohort):
    rows = {row.label: row for row in change_rows(cohort, "sr")}
    assert rows["Same group, of those evaluable in both"].cells[0] == "9 of 11"
    assert rows["Cohen's kappa of the groups, unweighted"].cells[0] == "0.703"
    changed = rows["Other group, of all samples"].cells
    assert changed[0] == "2 of 14"
    assert "1.8 to 42.8" in changed[1]
    assert rows["Moves between group 2 and group 5"].tests.exact.p == 0.5
    relapse = rows["Relapse in group 2 against other groups, routine negatives"]
    assert relapse.tests.exact.p == pytest.approx(0.0833, abs=5e-5)


STACK = [
    (212.846031, 438.825431, 2336.761115),
    (128.699482, 234.869838, 1265.469498),
    (112.803062, 194.446258, 1053.922952),
    (93.731129, 147.341099, 806.862046),
    (79.075169, 113.957711, 630.630491),
    (73.752136, 101.851745, 566.714584),
    (68.928738, 92.096905, 514.677756),
    (66.879509, 87.383914, 489.817651),
]
"""Mean, SD, threshold of eight frames of a 488 stack (SysmexRDCE/HM1000)."""


def test_figure_2_is_a_formula_and_no_evidence():
    found = threshold_line(*np.transpose(STACK))
    factors = (found.mean_factor, found.sd_factor)
    assert factors == pytest.approx((1.0, 4.84), abs=2e-6)
    assert found.intercept_adu == pytest.approx(0.0, abs=1e-4)
    assert found.is_formula


def test_follow_up_does_not_give_the_printed_p():
    tables = [[[0, 2], [1, 1], [4, 6]], [[0, 2], [1, 1]], [[0, 2], [5, 7]]]
    got = [chi_squared(table).p for table in tables]
    assert got == pytest.approx([0.504, 0.248, 0.255], abs=5e-4)
    assert not any(printed(p, "0.23") for p in got)


def test_no_two_by_two_of_five_and_nine_gives_the_follow_up_p():
    for a, b in itertools.product(range(6), range(10)):
        for c, d in itertools.product(range(6 - a), range(10 - b)):
            table = np.array([[a, b], [c, d]])
            if 0 in table.sum(axis=0) or 0 in table.sum(axis=1):
                continue
            assert not 0.225 <= chi_squared(table).p < 0.235


def test_no_signed_rank_of_five_pairs_is_below_the_least():
    before, after = [12, 1, 13, 12, 12], [0] * 5
    assert wilcoxon(before, after).p == 0.0625
    kinds = [
        wilcoxon(before, after, exactness="asymptotic", continuity=c).p
        for c in (True, False)
    ]
    assert min(kinds) > 0.03  # "0.01" is printed


def test_ambiguous_nuclei_fit_a_paired_t_test_instead():
    assert printed(paired_t([0, 0, 0, 1, 1], [0] * 5).p, "0.18")
    # median 12 and range 1 to 13 fix three of the five
    sets = [[1, a, 12, b, 13] for a in range(1, 13) for b in (12, 13)]
    assert any(printed(paired_t(five, [0] * 5).p, "0.01") for five in sets)
    for options in ({"exactness": "exact"}, {"exactness": "asymptotic"}):
        assert min(wilcoxon(five, [0] * 5, **options).p for five in sets) > 0.03
    assert printed(paired_t([0] * 6 + [1, 2, 5], [0] * 9).p, "0.15")


def test_below_0_05_at_five_pairs_is_asymptotic_alone():
    pairs = [3.5, 3.6, 4.0, 5.0, 7.44], [4.79, 6.0, 7.5, 8.0, 10.8]
    assert wilcoxon(*pairs, exactness="asymptotic").p < 0.05
    assert wilcoxon(*pairs).p > 0.05


def test_a_median_of_6_5_with_p_below_0_01_needs_eight_pairs_and_the_exact_test():
    before, after = list(range(1, 9)), list(range(9, 25, 2))
    assert wilcoxon(before, after).p == pytest.approx(0.0078, abs=5e-5)
    assert wilcoxon(before, after, exactness="asymptotic").p > 0.01


FORMS = [
    {"exactness": "exact"},
    {"exactness": "asymptotic", "continuity": False},
    {"exactness": "asymptotic", "continuity": True},
]


def every_signed_rank_p(pairs: int) -> set[float]:
    """Return each p of so many differing pairs, over all ties, signs and forms."""
    found = set()
    for joins in itertools.product((0, 1), repeat=pairs - 1):
        sizes = np.cumsum([1, *joins])
        for signs in itertools.product((-1, 1), repeat=pairs):
            gaps = sizes * np.array(signs)
            found |= {wilcoxon([0] * pairs, gaps, **form).p for form in FORMS}
    return found


def test_three_rows_of_table_2_are_no_signed_rank_p_of_five_pairs_or_fewer():
    reached = set().union(*map(every_signed_rank_p, (2, 3, 4, 5)))
    for shown in ("0.01", "0.53", "0.54"):
        assert not any(printed(p, shown) for p in reached)
    for shown in ("0.07", "0.18", "0.23", "0.57"):
        assert any(printed(p, shown) for p in reached)
