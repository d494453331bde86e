"""The open question, answered on samples whose cause is known by construction."""

import numpy as np
import pytest

from her2sr_proc.schema.results import ARMS, Accounting, RunResult, Truth
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import score
from her2sr_proc.store.layout import StudyFolder
from her2sr_proc.study.accuracy import figures
from her2sr_proc.study.answer import answer, sentences
from her2sr_proc.study.outcomes import Measured, NucleusPair, SampleOutcome
from her2sr_proc.study.plan import SamplePlan
from her2sr_proc.study.records import SampleRecord
from her2sr_proc.study.tables import as_csv, cohort_rows, sr_status, truth_rows

PARAMS = ScoreParams(resamples=100)
NUCLEI = 20


def arm(her2, cep17):
    """Every nucleus alike but one: sums are exact, and there is a spread."""
    counts = [np.full(NUCLEI, n) for n in (her2, cep17)]
    return score(*counts, params=PARAMS, generator=np.random.default_rng(1))


def outcome(name, status, kind, *, conventional, sr, merged, copies, signals):
    pairs = {"conventional": conventional, "sr": sr, "sr_merged": merged}
    nothing = dict.fromkeys(
        (
            "requested",
            "delivered",
            "written",
            "published",
            "replayed",
            "localizable",
            "localized",
        ),
        0,
    )
    result = RunResult(
        run=name,
        arms={a: arm(*pairs[a]) for a in ARMS},
        headline="sr_merged",
        channel_map={"561": "HER2", "488": "CEP17"},
        profile="recommended",
        profile_digest="d",
        accounting=Accounting(**nothing),
        truth=Truth(
            copies=arm(*copies),
            signals=arm(*signals),
            whole_tumour_nuclei=25,
            whole_tumour_nuclei_scored=NUCLEI,
        ),
    )

    def probes(pair):
        return {"HER2": pair[0], "CEP17": pair[1]}

    nuclei = tuple(
        NucleusPair(
            "r00_c00",
            n + 1,
            {a: probes(pairs[a]) for a in ARMS},
            probes(copies),
            probes(signals),
        )
        for n in range(NUCLEI)
    )
    return SampleOutcome(
        SamplePlan(
            name=name, kind=kind, status=status, ihc=1, seed=1, x_um=0.0, y_um=0.0
        ),
        SampleRecord(name=name, state="acquired", run=f"run-{name}"),
        Measured(
            result,
            result.arms["sr_merged"],
            nuclei,
            {(a, p): (NUCLEI, 0) for a in ARMS for p in ("HER2", "CEP17")},
        ),
    )


def negative(name, kind="normal", **pairs):
    flat = dict.fromkeys(("conventional", "sr", "merged", "copies", "signals"), (2, 2))
    return outcome(name, "negative", kind, **(flat | pairs))


MONOSOMIC = negative("real", sr=(3, 1), merged=(3, 1), copies=(3, 1), signals=(3, 1))
DOUBLETS = negative(
    "doublets", "doublet_rich", sr=(3, 1), copies=(1, 1), signals=(3, 1)
)
NOISE = negative("noise", sr=(3, 1), merged=(3, 1), copies=(1, 1), signals=(1, 1))
PLAIN = negative("plain")
MISSED = negative("missed", copies=(2, 1), signals=(2, 1))
POSITIVE = outcome(
    "positive",
    "positive",
    "clustered",
    conventional=(6, 2),
    sr=(8, 2),
    merged=(8, 2),
    copies=(10, 2),
    signals=(12, 2),
)
ALL = (MONOSOMIC, DOUBLETS, NOISE, PLAIN, MISSED, POSITIVE)


def test_group_2_is_parted_into_true_doublets_and_the_counters():
    found = answer(ALL)
    assert found.negative == 5
    assert found.group_2 == ("real", "doublets", "noise")
    assert found.true == ("real",)
    assert found.doublets == ("doublets",)
    assert found.miscounted == ("noise",)
    assert found.share == 0.5


def test_merging_is_held_against_true_copies():
    found = answer(ALL)
    assert found.merged_group_2 == ("real", "noise")
    assert found.merged_false == ("noise",)
    assert found.merged_missed == ("missed",)


def test_what_was_group_2_conventionally_did_not_become_it():
    before = negative(
        "before", conventional=(3, 1), sr=(3, 1), copies=(3, 1), signals=(3, 1)
    )
    found = answer((before, DOUBLETS))
    assert found.group_2 == ("before", "doublets")
    assert found.to_group_2 == ("doublets",)


def test_a_positive_sample_is_no_part_of_the_question():
    assert answer((POSITIVE,)).negative == 0
    assert list(sentences(answer((POSITIVE,)))) == [
        "No negative sample has an answer yet: the question stays open."
    ]


def test_the_ratio_is_parted_into_copies_doublets_and_the_counter():
    (shift,) = answer((negative("n", sr=(3, 1), copies=(2, 2), signals=(2, 1)),)).shifts
    assert (shift.doublets, shift.counting) == (1.0, 1.0)
    assert shift.sr == shift.copies + shift.doublets + shift.counting


def test_a_sample_without_cep17_signals_has_no_ratio_and_breaks_nothing():
    bare = negative("bare", sr=(3, 0), merged=(3, 0))
    found = answer((bare, PLAIN))
    assert found.negative == 2
    assert [s.sample for s in found.shifts] == ["plain"]


def test_false_group_2_to_be_expected_leaves_out_what_is_truly_group_2():
    found = answer((MONOSOMIC, DOUBLETS, PLAIN))
    chances = [
        s.measured.result.arms["sr"].group_probabilities.get("2", 0.0)
        for s in (DOUBLETS, PLAIN)
    ]
    assert chances[0] > 0.9
    assert found.expected_false["sr"] == pytest.approx(sum(chances))
    assert found.expected_false["sr_merged"] < 0.05


def test_the_interval_of_doublets_is_exact():
    low, high = answer((MONOSOMIC, DOUBLETS, NOISE)).interval_95
    assert (low, high) == (
        pytest.approx(0.0084, abs=1e-4),
        pytest.approx(0.906, abs=1e-3),
    )


def by_name(samples):
    return {figure.what: figure for figure in figures(samples)}


def test_figures_are_met_where_counts_are_true():
    found = by_name((PLAIN,))
    exact = found["HER2 a nucleus, sr_merged against copies, up to 4 copies"]
    assert exact.is_met
    assert exact.measured == "exact 100.0 %, within 1 100.0 %"
    assert found["whole tumour nuclei scored"].measured == "80.0 %"


def test_figures_are_missed_where_they_are_not():
    found = by_name((POSITIVE, NOISE))
    amplified = "mean HER2 a nucleus, amplified samples, sr_merged against copies"
    assert found[amplified].is_met is False
    assert "bias -20.0 %" in found[amplified].measured
    cluster = "HER2 a nucleus, clustered samples, conventional against copies"
    assert found[cluster].measured == "-40.0 %"
    assert found[cluster].is_met is None


def test_without_samples_no_figure_has_a_verdict():
    assert {figure.is_met for figure in figures(())} == {None}


def test_a_sure_answer_of_another_group_misses_the_figure():
    right = by_name((POSITIVE,))["samples with P(group) >= 0.95, as the profile says"]
    assert right.measured.endswith("1 of them the true group")
    assert right.is_met
    wrong = outcome(
        "w",
        "positive",
        "demo",
        conventional=(6, 2),
        sr=(8, 2),
        merged=(8, 2),
        copies=(2, 2),
        signals=(2, 2),
    )
    found = by_name((wrong,))["samples with P(group) >= 0.95, as the profile says"]
    assert found.is_met is False


STATUSES = [
    (None, 3, None),
    (1, 0, "positive"),
    (5, 3, "negative"),
    (2, 3, "positive"),
    (2, 2, "negative"),
    (3, 2, "positive"),
    (4, 2, "negative"),
    (3, 1, "negative"),
]


@pytest.mark.parametrize(("group", "ihc", "status"), STATUSES)
def test_status_follows_group_and_ihc(group, ihc, status):
    assert sr_status(group, ihc) == status


def test_the_cohort_is_one_that_the_statistics_take(tmp_path):
    from her2sr_proc.store.cohort import read_cohort

    rows = cohort_rows(StudyFolder(tmp_path), ALL)
    for row in rows:
        del row["run"]  # no folder stands behind these
    path = tmp_path / "cohort.csv"
    path.write_text(as_csv(rows))
    cohort = read_cohort(path)
    assert [s.sample for s in cohort.samples] == [s.plan.name for s in ALL]
    assert cohort.samples[1].arms["sr"].group == "2"
    assert cohort.samples[1].arms["sr"].her2_signals == 3 * NUCLEI


def test_every_sample_has_a_row_beside_its_truth():
    lost = SampleOutcome(PLAIN.plan, None, None)
    rows = list(truth_rows((DOUBLETS, lost)))
    assert rows[0]["copies_formed_group"] == 5
    assert rows[0]["sr_formed_group"] == 2
    assert rows[1]["fault"] == "not acquired yet"
    assert list(rows[0]) == list(rows[1])
