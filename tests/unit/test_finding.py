"""Finders of one camera for several threads."""

import numpy as np
import pytest

from her2sr_proc.finding import new_finder
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import PAPER_LOCALIZE, LocalizeParams

SHAPE = (48, 40)


def frame(x, y, gain=1.0):
    rows, columns = np.indices(SHAPE)
    bell = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2.0)
    electrons = np.random.default_rng(2).poisson(150.0 + 300.0 * bell)
    return (100 + gain * electrons / 0.46).astype(np.uint16)


@pytest.mark.parametrize("params", [LocalizeParams(), PAPER_LOCALIZE])
def test_a_twin_finds_the_same_and_leaves_the_others_spots_alone(params):
    finder = new_finder(CameraMaps.uniform(CameraModel(), SHAPE), params)
    twin = finder.twin()
    rows, columns = finder.find(frame(12, 30))
    kept = rows.copy(), columns.copy()
    alike = twin.find(frame(12, 30))
    np.testing.assert_array_equal(alike, kept)
    twin.find(frame(30, 8))
    np.testing.assert_array_equal((rows, columns), kept)
    assert 30 in rows
    assert 12 in columns


def test_a_twin_measures_the_noise_of_its_own_frames():
    finder = new_finder(CameraMaps.uniform(CameraModel(), SHAPE), LocalizeParams())
    twin = finder.twin()
    twin.find(frame(12, 30, gain=9.0))
    assert twin.noise_scale > 1.5
    assert finder.noise_scale == 1.0
