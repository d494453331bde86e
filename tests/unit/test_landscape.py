"""Votes gather at centres, parts of a pair stay apart, and sizes are told by depth."""

import numpy as np
import pytest
from scipy import ndimage

from her2sr_proc.segmentation import instances
from her2sr_proc.segmentation.frames import REACH_PX
from her2sr_proc.segmentation.landscape import (
    consistency,
    depth_of,
    landscape,
    votes,
    ways_of,
)


def pair():
    """Two discs that overlap: labels, met half way."""
    y, x = np.mgrid[:48, :72]
    inside = [np.hypot(y - 24, x - centre) < 13 for centre in (26, 46)]
    return (inside[0] & (x < 36)) * 1 + (inside[1] & (x >= 36)) * 2


def maps_of(labels):
    """What a perfect network would say of labels, but for the contact."""
    inside = labels > 0
    return np.stack(
        [inside, depth_of(labels), np.zeros(labels.shape), *ways_of(labels)]
    ).astype(np.float32)


def test_every_pixel_votes_once_and_near_its_centre():
    labels = pair()
    counts = votes(maps_of(labels), labels > 0)
    assert counts.sum() == (labels > 0).sum()
    for label in (1, 2):
        y, x = ndimage.center_of_mass(labels == label)
        around = counts[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
        assert around.sum() == (labels == label).sum()


def test_a_way_out_of_the_image_ends_at_its_border():
    maps = np.zeros((5, 9, 9), np.float32)
    maps[4] = 1.0
    counts = votes(maps, np.ones((9, 9), bool))
    assert counts[0, 8] == 81


def test_a_pair_without_a_waist_is_parted_by_its_ways_alone():
    maps = maps_of(pair())
    maps[1] = depth_of((maps[0] > 0).astype(np.int32))
    maps[1, 20:29, 20:53] = 0.9  # one long ridge
    flat = maps.copy()
    flat[3:] = ways_of((maps[0] > 0).astype(np.int32))
    assert instances._seeded(maps).max() == 2
    assert instances._seeded(flat).max() == 1


def test_the_landscape_of_nothing_is_flat():
    maps = np.full((5, 16, 16), 0.5, np.float32)
    maps[:3] = 0.0
    assert not landscape(maps, maps[0] > 0.5).any()


def test_maps_agree_with_the_labels_they_are_of_and_less_with_halves_of_them():
    labels = pair()
    maps = maps_of(labels)
    halves = np.where(np.indices(labels.shape)[0] < 24, labels, labels + 2)
    halves[labels == 0] = 0
    assert consistency(maps, labels) == pytest.approx(1.0)
    assert consistency(maps, halves) < 0.9
    assert consistency(maps, np.zeros_like(labels)) == 0.0


class Leftward:
    """Says that every centre lies to the left and above, whatever it is shown."""

    def predict(self, planes):
        found = np.full((5, *planes.shape[1:]), 0.5, np.float32)
        found[3:] = 0.2
        return found


def test_a_way_turns_with_its_mirror_image():
    seen = np.zeros((2, 8, 8), np.float32)
    ways = instances._mirrored(seen, Leftward())[3:]
    # what does not turn with the image says nothing, and cancels
    np.testing.assert_allclose(ways, 0.5, atol=1e-6)


def test_ways_reach_as_far_as_they_are_told():
    labels = np.ones((3, 120), np.int32)
    right = ways_of(labels)[1]
    assert right[0, 0] == 1.0
    assert right[0, 119] == 0.0
    assert right[0, 60] == pytest.approx(0.5 - 0.5 * 0.5 / REACH_PX)
