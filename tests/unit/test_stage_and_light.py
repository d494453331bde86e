"""Shifts of pictures, the size of a pixel, and how evenly a field is lit."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from her2sr_proc.errors import DataError
from her2sr_proc.illumination import profile_of
from her2sr_proc.shifts import Shift, shift_between
from her2sr_proc.stage_scale import pixel_size

SIDE = 160


@pytest.fixture(scope="module")
def film():
    rng = np.random.default_rng(5)
    wide = np.zeros((2 * SIDE, 2 * SIDE))
    wide[rng.integers(0, 2 * SIDE, 200), rng.integers(0, 2 * SIDE, 200)] = 9_000.0
    return gaussian_filter(wide, 1.2)


def picture(film, x_px=0.0, y_px=0.0, seed=1):
    half = SIDE // 2
    part = moved(film, (y_px, x_px), order=3)[half : half + SIDE, half : half + SIDE]
    return np.random.default_rng(seed).poisson(part.clip(0.0) + 30.0).astype(float)


@pytest.mark.parametrize("way", [(0.0, 0.0), (0.4, -0.7), (21.0, -13.5), (-30.3, 6.0)])
def test_a_shift_is_found_to_a_tenth_of_a_pixel(film, way):
    found = shift_between(picture(film), picture(film, *way, seed=2))
    assert found.is_sure
    assert (found.x_px, found.y_px) == pytest.approx(way, abs=0.1)


def test_pictures_with_nothing_in_common_are_not_sure(film):
    rng = np.random.default_rng(9)
    other = rng.poisson(30.0, (SIDE, SIDE)).astype(float)
    assert not shift_between(picture(film), other).is_sure
    assert not shift_between(np.zeros((SIDE, SIDE)), other).is_sure


def shifts_for(moves, matrix, *, sure=True):
    seen = moves @ matrix.T
    return [Shift(float(x), float(y), 100.0 if sure else 1.0) for x, y in seen]


MOVES = np.array([(5, 0), (0, 5), (5, 5), (-5, 0), (0, -5), (-5, -5)], float)


def test_the_pixel_is_found_with_the_turn_and_mirrors_of_the_camera():
    turn = np.radians(1.5)
    matrix = -np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = pixel_size(MOVES, shifts_for(MOVES, matrix / 0.13))
    assert found.pixel_nm == pytest.approx(130.0)
    assert found.turn_deg == pytest.approx(1.5)
    assert (found.x_is_mirrored, found.y_is_mirrored) == (False, False)
    mirrored = np.diag([1.0, -1.0]) / 0.065
    found = pixel_size(MOVES, shifts_for(MOVES, mirrored))
    assert found.pixel_nm == pytest.approx(65.0)
    assert (found.x_is_mirrored, found.y_is_mirrored) == (True, False)


def test_pictures_that_cannot_be_matched_give_no_pixel():
    with pytest.raises(DataError, match="0 of 6 moves can be seen"):
        pixel_size(MOVES, shifts_for(MOVES, np.eye(2), sure=False))


def test_a_stage_that_does_not_arrive_gives_no_pixel():
    seen = shifts_for(MOVES, -np.eye(2) / 0.13)
    seen[2] = Shift(0.0, 0.0, 100.0)
    with pytest.raises(DataError, match="does not follow the stage"):
        pixel_size(MOVES, seen)
    with pytest.raises(DataError, match="axes differ by"):
        pixel_size(MOVES, shifts_for(MOVES, np.diag([7.7, 7.3])))


def test_the_illumination_is_found_through_the_noise():
    rows, columns = np.indices((128, 128)) - 63.5
    true = np.exp(-((columns - 10.0) ** 2 + rows**2) / (2 * 90.0**2))
    rng = np.random.default_rng(2)
    mean = 100.0 + 2_000.0 * true + rng.normal(0.0, 6.0, true.shape)
    found = profile_of(mean, np.full(true.shape, 100.0), saturated=0.0)
    assert found.relative == pytest.approx(true, abs=0.02)
    assert found.darkest == pytest.approx(true.min(), abs=0.01)
    assert found.centre_x_px > 64.0


@pytest.mark.parametrize(
    ("light", "saturated", "words"),
    [
        (60_000.0, 0.4, "40.0 % of the flat field is saturated"),
        (3.0, 0.0, "3 counts over the dark and 50 are needed"),
    ],
)
def test_a_field_that_shows_no_light_is_refused(light, saturated, words):
    dark = np.full((64, 64), 100.0)
    with pytest.raises(DataError, match=words):
        profile_of(dark + light, dark, saturated=saturated)


def test_a_torn_film_is_refused():
    rng = np.random.default_rng(2)
    mean = 100.0 + 3_000.0 * rng.random((64, 64))
    with pytest.raises(DataError, match="structure"):
        profile_of(mean, np.full((64, 64), 100.0), saturated=0.0)
