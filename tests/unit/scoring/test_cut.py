"""What a section takes from a nucleus, and what may then lack a colour."""

import numpy as np
import pytest

from her2sr_proc.schema.params import Profile
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import REGIONS, Sample, assess
from her2sr_proc.scoring.cut import copies_of, lacking_by_cut, retained_shares

SECTION = ScoreParams(resamples=100, lacking="section")


def test_a_section_far_thicker_than_nuclei_takes_little():
    shares = retained_shares(1000.0, 6.0)
    assert shares.mean() > 0.99
    assert lacking_by_cut(2, 2, shares) < 0.01


def test_shares_are_volumes_of_a_sphere_between_two_planes():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(20_000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points *= 3.0 * rng.random((20_000, 1)) ** (1 / 3)
    reach = 0.62 * 3.0
    centres = np.linspace(-reach, 3.0 + reach, 41)
    inside = [np.mean((c + points[:, 2] > 0) & (c + points[:, 2] < 3)) for c in centres]
    assert retained_shares(3.0, 6.0).mean() == pytest.approx(np.mean(inside), abs=0.01)


def test_a_thin_section_takes_a_colour_from_half_of_all_disomic_nuclei():
    assert 0.5 < lacking_by_cut(2, 2, retained_shares(3.0, 6.0)) < 0.56


def test_copies_are_told_by_nuclei_that_show_any_and_are_two_at_least():
    shares = retained_shares(3.0, 6.0)
    rng = np.random.default_rng(4)
    shown = rng.binomial(12, rng.choice(shares, 4000))
    assert copies_of(shown, shares) == pytest.approx(12, abs=1)
    unreached = np.concatenate([shown, np.zeros(20_000, int)])
    assert copies_of(unreached, shares) == copies_of(shown, shares)
    assert copies_of(np.ones(50, int), shares) == 2
    assert copies_of(np.zeros(5, int), shares) == 2


def verdict(her2, cep17, params=SECTION):
    marks = np.full(len(her2), REGIONS.index("invasive"), np.int64)
    sample = Sample(np.array(her2), np.array(cep17), region=marks)
    found = assess(sample, params=params, generator=np.random.default_rng(1))
    return next(
        one
        for one in found.assessment.criteria
        if one.name == "nuclei lacking a colour"
    )


def test_disomic_nuclei_of_a_thin_section_are_judged_by_what_the_cut_explains():
    rng = np.random.default_rng(5)
    share = rng.choice(retained_shares(3.0, 6.0), 80)
    her2, cep17 = rng.binomial(2, share), rng.binomial(2, share)
    assert verdict(her2, cep17).verdict == "met"
    plain = SECTION.model_copy(update={"lacking": "guideline"})
    assert verdict(her2, cep17, plain).verdict == "broken"


def test_nuclei_that_no_probe_got_into_are_not_explained_by_the_cut():
    her2 = np.array([6, 5, 7, 6] * 5 + [0] * 30)
    cep17 = np.array([1, 2, 1, 1] * 5 + [0] * 30)
    found = verdict(her2, cep17)
    assert found.verdict == "broken"
    assert "section of 3 um" in found.words


def test_a_probe_that_failed_everywhere_is_not_explained_by_the_cut():
    her2, cep17 = np.full(40, 4), np.array([1] * 6 + [0] * 34)
    assert verdict(her2, cep17).verdict == "broken"


def test_typed_counts_are_judged_as_printed_and_runs_by_their_section():
    assert ScoreParams().lacking == "guideline"
    assert Profile().score.lacking == "section"
