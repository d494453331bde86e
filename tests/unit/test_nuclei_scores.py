"""The scorer of nuclei counts hits, splits, merges and touching pairs as by hand."""

import numpy as np
from nuclei_scores import agreement, area_ratio, touching_pairs


def two(gap):
    truth = np.zeros((20, 40), np.int32)
    truth[5:15, 5:15] = 1
    truth[5:15, 15 + gap : 25 + gap] = 2
    return truth


def test_pairs_touch_up_to_three_pixels_apart():
    assert touching_pairs(two(3)) == [(1, 2)]
    assert touching_pairs(two(5)) == []


def test_a_perfect_answer_is_perfect():
    truth = two(0)
    score = agreement(truth, truth, touching_pairs(truth))
    assert (score.f1, score.merged, score.touching) == (1.0, 0, 1)
    assert area_ratio(truth, truth) == [1.0, 1.0]


def test_a_merged_pair_is_counted_and_matches_neither():
    truth = two(0)
    score = agreement((truth > 0).astype(np.int32), truth, [(1, 2)])
    assert (score.hits, score.false, score.missed, score.merged) == (0, 1, 2, 1)
    assert score.merged_share == 1.0


def test_a_split_nucleus_is_false_and_scores_add_up():
    truth = two(0)
    found = truth.copy()
    found[5:15, 5:8] = 3
    score = agreement(found, truth, [(1, 2)])
    assert (score.hits, score.false, score.missed) == (2, 1, 0)
    assert (score + score).hits == 4
    assert agreement(np.zeros_like(truth), truth, [(1, 2)]).f1 == 0.0
