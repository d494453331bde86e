"""Peaks are found with their prominence, compiled and interpreted alike."""

import numpy as np
import pytest
from skimage.morphology import h_maxima, local_maxima

from her2sr_proc.kernels import peaks

COMPILED = pytest.mark.parametrize(
    "find",
    [peaks.find_peaks, getattr(peaks.find_peaks, "py_func", peaks.find_peaks)],
    ids=["compiled", "python"],
)


def found(find, image, floor=0.0, least=0.5, room=50):
    image = np.asarray(image, np.float32)
    rows, columns = np.zeros(room, np.int32), np.zeros(room, np.int32)
    saddles = np.zeros(room)
    basins = np.zeros(image.shape, np.int32)
    order = np.argsort(-image, axis=None, kind="stable").astype(np.int64)
    n = find(image, order, floor, least, rows, columns, saddles, basins)
    return rows[:n].tolist(), columns[:n].tolist(), saddles[:n].tolist(), basins


@COMPILED
def test_two_peaks_meet_at_their_saddle(find):
    rows, columns, saddles, basins = found(find, [[0, 5, 2, 4, 0]])
    assert columns == [1, 3]
    assert saddles == [0.0, 2.0]
    assert basins.tolist() == [[-1, 0, 0, 1, -1]]
    assert rows == [0, 0]


@COMPILED
def test_a_peak_below_the_prominence_is_part_of_its_neighbour(find):
    _, columns, saddles, basins = found(find, [[0, 5, 3.8, 4, 0]])
    assert columns == [1]
    assert saddles == [0.0]
    assert basins.tolist() == [[-1, 0, 0, 0, -1]]


@COMPILED
def test_a_peak_dies_where_it_meets_an_island_with_a_higher_one(find):
    # 4.9 touches 4.0's basin, not 6's; the island is already under 6
    _, columns, saddles, _ = found(find, [[6, 2, 4, 3.9, 4.9]], least=1.5)
    assert columns == [0, 4]
    assert saddles == [0.0, 2.0]


@COMPILED
def test_a_middle_peak_counts_from_the_saddle_to_the_higher_side(find):
    _, columns, saddles, _ = found(find, [[6, 2, 4, 1, 5]], least=0.5)
    assert columns == [0, 4, 2]
    assert saddles == [0.0, 1.0, 2.0]


@COMPILED
@pytest.mark.parametrize(
    "image",
    [np.zeros((0, 0)), np.zeros((3, 3)), np.full((3, 3), np.nan)],
    ids=["empty", "dark", "nan"],
)
def test_nothing_above_the_floor_is_no_peak(find, image):
    assert found(find, image)[0] == []


@COMPILED
def test_one_pixel_is_a_peak_and_a_plateau_is_one(find):
    assert found(find, [[1.0]])[0] == [0]
    assert len(found(find, np.ones((4, 4)))[0]) == 1


@COMPILED
def test_flooding_ends_when_there_is_no_room(find):
    rows, *_ = found(find, [[3, 0, 2, 0, 1]], room=2)
    assert len(rows) == 2


def test_as_many_as_h_maxima_on_a_rough_image():
    image = np.random.default_rng(3).integers(1, 200, (60, 60)).astype(np.float32)
    for least in (20, 60, 120):
        expected = local_maxima(h_maxima(image, least)).sum()
        rows, columns, _, _ = found(
            peaks.find_peaks, image, least=least, room=image.size
        )
        marked = h_maxima(image, least)[rows, columns]
        assert len(rows) == marked.sum()
        assert expected >= len(rows)


def test_basins_cover_all_above_the_floor():
    image = np.random.default_rng(4).normal(size=(40, 40)).astype(np.float32)
    rows, columns, _, basins = found(peaks.find_peaks, image, least=1.0, room=1600)
    assert ((basins >= 0) == (image > 0)).all()
    np.testing.assert_array_equal(basins[rows, columns], np.arange(len(rows)))
