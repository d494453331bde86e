"""Cleaning frames: the ball as a step, and the ball with a threshold after it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from her2sr_proc.background import Cleaning, RollingBall, without_offset
from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.threshold import PAPER_K, CleaningParams

SHAPE = (40, 52)


def counts(frames=7, seed=0):
    """Frames of uneven ground, some spots, and light that fades."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    movie = np.empty((frames, *SHAPE), np.uint16)
    for n in range(frames):
        mean = 100.0 + 3 * x + y
        for _ in range(5):
            b, a = rng.uniform(5, 35, 2)
            mean += 900 / (n + 1) * np.exp(-((y - b) ** 2 + (x - a) ** 2) / 4)
        movie[n] = rng.poisson(mean)
    return movie


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_cleaned_frames_do_not_depend_on_the_block(length):
    movie = counts()
    cleaning = Cleaning(SHAPE, CleaningParams(), channel="488")
    whole, _ = cleaning.block(movie, first_frame=0)
    parts = [
        cleaning.block(movie[n : n + length], first_frame=n)[0]
        for n in range(0, len(movie), length)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_threads_that_share_a_ball_do_not_disturb_each_other():
    movie = counts(24)
    ball = RollingBall(SHAPE, radius_px=15)
    wanted = ball.block(movie)
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda frame: ball.block(frame[None])[0], movie))
    np.testing.assert_array_equal(got, wanted)


def test_cleaning_is_the_ball_and_then_the_channel_s_k():
    movie = counts()
    for channel in PAPER_K:
        flat = RollingBall(SHAPE, radius_px=15).block(movie)
        cleaned, left = Cleaning(SHAPE, CleaningParams(), channel=channel).block(
            movie, first_frame=0
        )
        values = flat.astype(np.float64)
        limit = values.mean((1, 2)) + PAPER_K[channel] * values.std((1, 2))
        wanted = np.where(values > limit[:, None, None], values, 0)
        np.testing.assert_array_equal(cleaned, wanted)
        assert left.pixels == np.count_nonzero(wanted)


def test_the_offset_of_the_camera_does_not_show_in_cleaned_frames():
    movie = counts()
    cleaning = Cleaning(SHAPE, CleaningParams(), channel="488")
    a, b = (cleaning.block(movie + offset, first_frame=0)[0] for offset in (0, 1000))
    # float32 rounds larger counts more coarsely: a count more or less
    np.testing.assert_allclose(a.astype(int), b.astype(int), rtol=0, atol=1)


def test_a_camera_of_cleaned_frames_has_no_offset_and_the_same_gain():
    maps = CameraMaps.uniform(CameraModel(offset_adu=100), SHAPE)
    cleaned = without_offset(maps)
    assert not cleaned.offset_adu.any()
    assert maps.offset_adu.all()
    np.testing.assert_array_equal(cleaned.e_per_adu, maps.e_per_adu)


@pytest.mark.parametrize(
    ("radius", "words"),
    [
        (0, "rolls nowhere"),
        (-3, "rolls nowhere"),
        (float("nan"), "rolls nowhere"),
        (float("inf"), "rolls nowhere"),
        (41, "larger than frames of 40 x 52"),
    ],
)
def test_a_ball_that_cannot_roll_is_refused(radius, words):
    with pytest.raises(RequestError, match=words):
        RollingBall(SHAPE, radius_px=radius)


def test_a_ball_as_large_as_the_frame_rolls():
    assert RollingBall(SHAPE, radius_px=40).block(counts(1)).shape == (1, *SHAPE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_told_by_frame(value):
    values = counts(3).astype(np.float32)
    values[1, 3, 4] = value
    with pytest.raises(DataError, match="frame 11 holds"):
        RollingBall(SHAPE, radius_px=5).block(values, first_frame=10)


def test_values_keep_what_counts_lose():
    movie = counts(2)
    ball = RollingBall(SHAPE, radius_px=9.5, is_smoothed=False)
    values = ball.block(movie.astype(np.float32))
    rounded = np.clip(np.floor(values + np.float32(0.5)), 0, 65535)
    assert np.abs(rounded - ball.block(movie).astype(np.float32)).max() <= 1
    assert values.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_numbers_that_would_wrap_around_are_refused(dtype):
    ball = RollingBall((20, 30), radius_px=5)
    with pytest.raises(RequestError, match=np.dtype(dtype).name):
        ball.block(np.zeros((1, 20, 30), dtype))
