"""Every rule of the guideline, of the kit and of the house, by its name."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scored_samples import (
    MEASURED,
    PARAMS,
    beside,
    judged,
    normal_nuclei,
    sample,
    whole,
)

from her2sr_proc.errors import DataError
from her2sr_proc.schema.assessment import Evidence
from her2sr_proc.scoring import REGIONS, Sample, Totals, assess
from her2sr_proc.scoring.groups import group_at, groups_within, single_probe

AMPLIFIED = ([8] * 24, [2] * 24)
DISOMIC = ([2] * 24, [2] * 24)


def reasons(found):
    return " | ".join(found.arm.reasons)


def blockers(found):
    return " | ".join(found.assessment.blockers)


# --- groups, on exact fractions ------------------------------------------------------

RATIOS = (Fraction(199, 100), Fraction(2), Fraction(201, 100))
MEANS = [Fraction(n, 100) for n in (399, 400, 401, 599, 600, 601)]
EXPECTED = {
    # below, at and above ratio 2.0, for each mean
    399: (5, 2, 2),
    400: (4, 1, 1),
    401: (4, 1, 1),
    599: (4, 1, 1),
    600: (3, 1, 1),
    601: (3, 1, 1),
}


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_five_groups_on_every_side_of_every_boundary(mean, at):
    assert group_at(RATIOS[at], mean) == EXPECTED[int(100 * mean)][at]


def test_groups_are_decided_on_exact_fractions():
    third = Totals(10**9, 5 * 10**8 + 1, 10)  # 2 - 4e-9: a float32 would say 2
    assert group_at(third.exact_ratio, Fraction(3)) == 5


SINGLE = [
    (120, 20, "positive"),
    (119, 20, "needs IHC or a dual-probe assay"),
    (80, 20, "needs IHC or a dual-probe assay"),
    (79, 20, "negative"),
    (0, 0, None),
]


@pytest.mark.parametrize(("her2", "nuclei", "said"), SINGLE)
def test_single_probe_assays_have_limits_of_their_own(her2, nuclei, said):
    assert single_probe(Totals(her2, 0, nuclei)) == said


def test_the_kits_worked_example_is_2_98():
    assert round(Totals(143, 48, 20).ratio, 2) == 2.98


def test_paper_mode_takes_ratio_and_mean_over_different_nuclei():
    her2, cep17 = [4] * 20 + [8] * 4, [2] * 20 + [0] * 4
    paper = judged(
        whole(sample(her2, cep17)), params=PARAMS.model_copy(update={"mode": "paper"})
    )
    guideline = judged(whole(sample(her2, cep17)))
    assert (paper.arm.ratio, guideline.arm.ratio) == (2.0, 2.8)
    assert paper.assessment.ratio_set.nuclei == 20
    assert paper.assessment.accepted.nuclei == paper.arm.nuclei == 24


def test_paper_mode_says_that_six_stands_in_two_groups_of_its_table():
    found = judged(
        whole(sample([6] * 20, [4] * 20)),
        params=PARAMS.model_copy(update={"mode": "paper"}),
    )
    assert found.arm.group == 3
    assert any("exactly 6.0" in note for note in found.assessment.notes)


def test_ratio_over_all_and_over_nuclei_with_both_colours_each_with_n():
    found = judged(whole(sample([8] * 20 + [0] * 4, [2] * 24))).assessment
    assert (found.accepted.nuclei, found.both_colours.nuclei) == (24, 20)
    assert found.accepted.ratio == pytest.approx(160 / 48)
    assert found.both_colours.ratio == 4.0


def test_an_answer_that_hangs_on_nuclei_lacking_a_colour_is_not_definite():
    found = judged(whole(sample([5] * 36 + [4] * 4, [3] * 36 + [0] * 4)))
    assert found.assessment.both_colours.group == 4
    alone = judged(whole(sample([9] * 20 + [5] * 4, [5] * 19 + [0] * 5)))
    assert alone.assessment.both_colours.group != alone.arm.group
    assert "nuclei that lack one" in reasons(alone)


# --- how many, and where -------------------------------------------------------------


@pytest.mark.parametrize(("nuclei", "status"), [(19, "insufficient"), (20, "definite")])
def test_at_least_20_nuclei(nuclei, status):
    found = judged(whole(sample([8] * nuclei, [2] * nuclei)))
    assert found.arm.status == status


@pytest.mark.parametrize(("fields", "status"), [(1, "insufficient"), (2, "definite")])
def test_at_least_two_areas(fields, status):
    assert judged(whole(sample(*AMPLIFIED, fields=fields))).arm.status == status


def test_one_drawn_area_in_many_fields_is_one_area():
    slide = sample(*AMPLIFIED, area=np.zeros(24, np.int64))
    assert "1 areas of tumour" in reasons(judged(slide))


@pytest.mark.parametrize(("nuclei", "asked"), [(20, True), (39, True), (40, False)])
def test_a_ratio_from_1_80_to_2_20_asks_for_20_more_nuclei(nuclei, asked):
    found = judged(whole(sample([9] * nuclei, [5] * nuclei)))
    assert found.arm.ratio == 1.8
    assert ("count 20 more" in reasons(found)) is asked


@pytest.mark.parametrize(("her2", "cep17"), [(179, 100), (221, 100)])
def test_ratios_beyond_1_80_and_2_20_ask_for_none(her2, cep17):
    found = judged(whole(sample([her2] * 20, [cep17] * 20)))
    assert "count 20 more" not in reasons(found)


# --- regions and controls ------------------------------------------------------------


def test_without_marks_the_group_is_empty_and_says_why():
    found = judged(sample(*AMPLIFIED, region="unmarked"))
    assert (found.arm.group, found.arm.status) == (None, "insufficient")
    assert found.arm.unmarked_group == 1
    assert "no region was marked" in found.arm.reasons[0]
    assert "no region was marked" in found.assessment.blockers[0]


def test_only_invasive_tumour_is_scored():
    both = beside(sample(*AMPLIFIED), normal_nuclei(50))
    assert judged(both).arm.nuclei == 24
    assert judged(both).arm.ratio == 4.0


def test_marks_without_any_invasive_nucleus_leave_nothing_to_score():
    found = judged(normal_nuclei())
    assert (found.arm.status, found.arm.nuclei) == ("indeterminate", 0)


CONTROLS = [
    # HER2 and CEP17 signals of 100 normal nuclei, within
    (85, 100, True),
    (115, 100, True),
    (84, 100, False),
    (116, 100, False),
]


@pytest.mark.parametrize(("her2", "cep17", "within"), CONTROLS)
def test_normal_nuclei_outside_1_0_within_0_15_block_sign_off(her2, cep17, within):
    normal = sample([her2, 0], [cep17, 0], region="normal")
    found = judged(beside(sample(*AMPLIFIED), normal))
    assert found.assessment.control.is_within is within
    assert ("internal control" in blockers(found)) is not within


def test_a_slide_without_normal_nuclei_blocks_sign_off():
    found = judged(sample(*AMPLIFIED))
    assert found.assessment.control.is_within is None
    assert "internal control" in blockers(found)


def test_monosomy_is_never_told_from_few_cep17_signals_in_cut_nuclei():
    found = judged(sample([3] * 24, [1] * 24))
    notes = " ".join(found.assessment.notes)
    assert "cannot be told" in notes
    assert not any("lost" in note for note in found.assessment.notes)


CHROMOSOMES = [
    pytest.param([1] * 40, "monosomy", id="half of what normal nuclei show"),
    pytest.param([2] * 40, "not distinguishable", id="as normal nuclei"),
    pytest.param([4] * 40, "polysomy", id="twice"),
]


@pytest.mark.parametrize(("cep17", "word"), CHROMOSOMES)
def test_chromosome_17_is_judged_against_normal_nuclei_of_the_slide(cep17, word):
    normal = normal_nuclei(60)
    found = judged(beside(sample([4] * 40, cep17), normal)).assessment
    assert any(word in note for note in found.notes)
    assert found.control.tumour_cep17_copies == cep17[0]


# --- grounds for rejecting a test ----------------------------------------------------


@pytest.mark.parametrize(("lacking", "is_rejected"), [(5, False), (6, True)])
@pytest.mark.parametrize("colour", ["her2", "cep17"])
def test_more_than_a_quarter_of_nuclei_lacking_a_colour_is_indeterminate(
    colour, lacking, is_rejected
):
    counts = np.full(20, 3)
    counts[:lacking] = 0
    other = np.full(20, 3)
    her2, cep17 = (counts, other) if colour == "her2" else (other, counts)
    found = judged(whole(sample(her2, cep17)))
    assert (found.arm.status == "indeterminate") is is_rejected
    assert (found.arm.group is None) is is_rejected


def test_a_laboratory_with_thin_sections_may_state_another_limit():
    counts = [0] * 8 + [3] * 16
    slide = whole(sample(counts, [2] * 24))
    stated = PARAMS.model_copy(update={"maximum_lacking": 0.4})
    assert judged(slide).arm.status == "indeterminate"
    assert judged(slide, params=stated).arm.status != "indeterminate"
    assert stated != PARAMS  # and so is the digest of the profile


FEW = [
    pytest.param([0] * 24, [2] * 24, id="no HER2 signal"),
    pytest.param([1] * 11 + [0] * 13, [2] * 24, id="fewer than 0.5 a nucleus"),
    pytest.param([1] * 24, [2] * 24, id="below 0.6 of CEP17"),
]


@pytest.mark.parametrize(("her2", "cep17"), FEW)
def test_no_or_few_her2_signals_are_indeterminate_and_never_group_5(her2, cep17):
    found = judged(whole(sample(her2, cep17)))
    assert (found.arm.status, found.arm.group) == ("indeterminate", None)


@pytest.mark.parametrize(("weak", "is_rejected"), [(6, False), (7, True)])
def test_weak_signals_in_more_than_a_quarter_of_nuclei(weak, is_rejected):
    low = np.full(24, 8)
    low[:weak] = 0
    slide = replace(
        sample(*AMPLIFIED),
        her2_low=low,
        her2_high=np.full(24, 8),
        cep17_low=np.full(24, 2),
        cep17_high=np.full(24, 2),
    )
    assert (judged(slide).arm.status == "indeterminate") is is_rejected


MEASURES = [
    pytest.param({"cytoplasm_share": 0.11}, "over cytoplasm", id="cytoplasm"),
    pytest.param({"autofluorescence_share": 0.2}, "autofluorescence", id="glow"),
    pytest.param({"nuclear_resolution": 0.1}, "quality of nuclei", id="resolution"),
]


@pytest.mark.parametrize(("values", "word"), MEASURES)
def test_what_was_measured_on_the_slide_can_reject_it(values, word):
    evidence = MEASURED.model_copy(update=values)
    found = judged(whole(sample(*AMPLIFIED)), evidence=evidence)
    assert found.arm.status == "indeterminate"
    assert word in reasons(found)


def test_signals_over_cytoplasm_of_exactly_a_tenth_are_accepted():
    evidence = MEASURED.model_copy(update={"cytoplasm_share": 0.1})
    found = judged(whole(sample(*AMPLIFIED)), evidence=evidence)
    assert found.arm.status == "definite"


def test_control_slides_that_failed_block_sign_off():
    evidence = MEASURED.model_copy(update={"external_controls_passed": False})
    found = judged(whole(sample(*AMPLIFIED)), evidence=evidence)
    assert "not as expected" in blockers(found)


def test_what_nobody_measured_blocks_sign_off_but_leaves_the_group():
    found = judged(whole(sample(*AMPLIFIED)), evidence=Evidence())
    assert found.arm.group == 1
    for name in ("over cytoplasm", "autofluorescence", "nuclear res", "external"):
        assert name in blockers(found)


def test_a_slide_that_nothing_stands_against_can_be_signed():
    found = judged(whole(sample(*AMPLIFIED)))
    assert found.arm.status == "definite"
    assert found.assessment.blockers == ()


# --- second population, channels, gates ----------------------------------------------


def test_a_second_population_is_found_and_counted_apart():
    her2 = [2] * 16 + [14] * 8
    found = judged(whole(sample(her2, [2] * 24)))
    apart = found.assessment.second_population
    assert (apart.nuclei, apart.her2_signals, apart.group) == (8, 112, 1)
    assert "count 12 more of it" in reasons(found)
    assert found.arm.status == "insufficient"


def test_a_second_population_of_the_same_group_is_reported_and_leaves_the_answer():
    found = judged(whole(sample([2] * 24 + [16] * 24, [2] * 48)))
    apart = found.assessment.second_population
    assert (apart.nuclei, apart.group) == (24, 1)
    assert (found.arm.status, found.arm.group) == ("definite", 1)


def test_a_second_population_of_another_group_leaves_nothing_definite():
    found = judged(whole(sample([1] * 60 + [8] * 24, [2] * 84)))
    apart = found.assessment.second_population
    assert (apart.nuclei, apart.group, found.arm.group) == (24, 1, 5)
    assert "report it apart" in reasons(found)
    assert found.arm.status == "insufficient"


def test_a_tenth_of_the_nuclei_is_no_second_population():
    found = judged(whole(sample([2] * 36 + [20] * 4, [2] * 40)))
    assert found.assessment.second_population is None


def test_swapped_channels_of_an_amplified_slide_are_indeterminate():
    her2, cep17 = AMPLIFIED
    assert judged(whole(sample(cep17, her2))).arm.status == "indeterminate"


def test_cep17_that_outnumbers_her2_beyond_sampling_blocks_sign_off():
    found = judged(whole(sample([3] * 24, [4] * 24)))
    assert found.arm.group == 5
    assert "not swapped" in blockers(found)


def test_counts_without_a_channel_map_block_sign_off():
    found = judged(whole(sample(*AMPLIFIED)), has_channel_map=False)
    assert "no channel map" in blockers(found)


def test_too_many_ambiguous_nuclei_block_sign_off():
    slide = replace(whole(sample(*AMPLIFIED)), ambiguous=np.ones(64, bool))
    assert "100 % of nuclei are ambiguous" in blockers(judged(slide))


def test_a_group_that_sampling_leaves_open_blocks_sign_off():
    found = judged(whole(sample([1, 15] * 12, [2, 5] * 12)))
    assert found.arm.status == "insufficient"
    assert "count more nuclei" in blockers(found)


def test_an_interval_that_crosses_a_group_boundary_blocks_sign_off():
    near = [3] * 9 + [4] * 60 + [5] * 15  # 4.07 a nucleus, all errors reach below 4
    found = judged(whole(sample(near, [1] * 84)))
    assert found.arm.group == 1
    assert "reach into group 2" in blockers(found)
    assert found.arm.status == "insufficient"


def test_groups_within_intervals_are_those_of_their_corners():
    assert groups_within((1.5, 1.9), (3.0, 3.9)) == {5}
    assert groups_within((1.5, 2.0), (3.0, 3.9)) == {2, 5}
    assert groups_within((1.5, 2.5), (3.0, 7.0)) == {1, 2, 3, 5}


def test_rounding_that_would_cross_a_limit_is_flagged():
    found = judged(whole(sample([5] * 400 + [4], [2] * 200 + [3] * 201)))
    assert found.arm.group == 4
    assert any("prints as 2.00" in reason for reason in found.arm.reasons)


def test_her2_low_is_a_research_note_and_no_status():
    found = judged(whole(sample(*DISOMIC)))
    assert any("do not define HER2-low" in note for note in found.assessment.notes)
    assert "low" not in found.arm.status


TAGS = [
    pytest.param([5] * 24, [2] * 24, "low-amplified", id="low-amplified"),
    pytest.param([7] * 24, [5] * 24, "co-amplified", id="co-amplified"),
    pytest.param([9] * 24, [2] * 24, None, id="plain amplification"),
    pytest.param([6] * 24, [4] * 24, None, id="exactly six is not above six"),
]


@pytest.mark.parametrize(("her2", "cep17", "word"), TAGS)
def test_tags_describe_and_answer_nothing(her2, cep17, word):
    tags = judged(whole(sample(her2, cep17))).assessment.tags
    assert [word in tag for tag in tags] == ([True] if word else [])


# --- bad input -----------------------------------------------------------------------


def test_no_nuclei_are_indeterminate_without_any_number():
    found = judged(sample([], []))
    assert found.arm.status == "indeterminate"
    assert found.arm.ratio is None
    assert found.arm.her2_per_nucleus is None
    assert found.arm.group_probabilities == {}


def test_no_cep17_signal_means_no_ratio_never_infinity():
    found = judged(whole(sample([8] * 24, [0] * 24)))
    assert (found.arm.ratio, found.arm.ratio_interval_95) == (None, None)
    assert "no CEP17 signal: there is no ratio" in reasons(found)
    assert "NaN" not in found.arm.model_dump_json()


def test_columns_of_different_length_are_refused():
    with pytest.raises(DataError, match="one a nucleus"):
        Sample(np.zeros(3, np.int64), np.zeros(2, np.int64))


def test_negative_counts_are_refused():
    with pytest.raises(DataError, match="fewer than 0"):
        Sample(np.array([-1]), np.array([1]))


def test_the_same_seed_gives_the_same_assessment():
    slide = whole(sample([1, 8] * 12, [2, 3] * 12))
    assert judged(slide, seed=3) == judged(slide, seed=3)


def test_simulated_truth_needs_no_marks():
    found = assess(
        Sample(np.full(24, 8), np.full(24, 2)),
        params=PARAMS,
        generator=np.random.default_rng(1),
    )
    assert found.arm.group == 1
    assert REGIONS.index("unmarked") == 0
