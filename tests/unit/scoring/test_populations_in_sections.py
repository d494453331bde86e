"""A second population is not made by the knife, and is found in spite of it."""

import numpy as np
import pytest

from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring.assess import assess
from her2sr_proc.scoring.cut import retained_shares
from her2sr_proc.scoring.populations import relative_cuts, second_population
from her2sr_proc.scoring.sample import Sample

SHARES = retained_shares(3.0, 6.0)
CUTS = relative_cuts(SHARES)


def cut_nuclei(seed, nuclei=60, copies=20.0, share=0.0, times=1.0):
    """Counts of cells with gamma scatter, cut at even depths."""
    generator = np.random.default_rng(seed)
    means = copies * np.where(generator.random(nuclei) < share, times, 1.0)
    cells = np.rint(means * generator.gamma(16.0, 1 / 16.0, nuclei)).astype(int)
    return generator.binomial(cells, generator.choice(SHARES, nuclei))


def test_what_the_cut_leaves_is_1_on_average_and_spans_the_shares():
    assert CUTS.mean() == pytest.approx(1.0)
    assert CUTS[0] == pytest.approx(SHARES.min() / SHARES.mean(), rel=0.1)
    assert CUTS[-1] == pytest.approx(SHARES.max() / SHARES.mean(), rel=0.02)


def test_one_population_that_was_cut_is_one_where_the_cut_is_known():
    slides = [cut_nuclei(seed) for seed in range(10)]
    assert sum(second_population(s, CUTS) is not None for s in slides) <= 1
    # the rule for whole nuclei takes the knife's work for a population
    assert sum(second_population(s) is not None for s in slides) >= 2


def test_a_population_with_four_times_the_copies_is_found_in_cut_nuclei():
    slides = [cut_nuclei(seed, share=0.5, times=4.0) for seed in range(12)]
    assert sum(second_population(s, CUTS) is not None for s in slides) >= 8


def test_the_section_rule_calls_a_cut_amplified_slide_definite():
    her2 = cut_nuclei(3, copies=30.0)
    cep17 = cut_nuclei(4, copies=2.0)
    field = np.arange(60) // 6
    told = {
        rule: assess(
            Sample(her2, cep17, field=field, region=np.ones(60, np.int64)),
            params=ScoreParams(lacking=rule, maximum_lacking=0.9),
            generator=np.random.default_rng(1),
        )
        for rule in ("guideline", "section")
    }
    assert told["guideline"].assessment.second_population is not None
    assert told["section"].assessment.second_population is None
    assert (told["section"].arm.status, told["section"].arm.group) == ("definite", 1)
