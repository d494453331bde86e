"""The wavelet filter, compiled and interpreted, against scipy."""

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import correlate1d

from her2sr_proc.kernels import wavelet

TAPS = wavelet.spline_taps(3, 2.0)
COUNTS = np.random.default_rng(1).normal(300, 20, (23, 31)).astype(np.uint16)
both = pytest.mark.parametrize(
    "run",
    [wavelet.split, getattr(wavelet.split, "py_func", wavelet.split)],
    ids=["compiled", "interpreted"],
)


def planes(adu, run=wavelet.split, *, offset=100.0, gain=0.46, taps=TAPS, step=1):
    """V1, V2, F1 and F2 of counts; offset and gain may be maps."""
    offset, gain = (
        np.broadcast_to(np.float32(value), adu.shape).copy() for value in (offset, gain)
    )
    level, band = np.full((2, *adu.shape), np.nan, np.float32)
    rows = wavelet.sampled_rows(adu.shape[0], step)
    fine = np.full((rows, adu.shape[1]), np.nan, np.float32)
    run(adu, offset, gain, taps, step, level, band, fine)
    return level + band, level, fine, band


def photons(adu):
    return (adu.astype(np.float64) - 100) * 0.46


def reference(image, step, taps=TAPS):
    holes = np.zeros((taps.size - 1) * step + 1)
    holes[::step] = taps
    rows = correlate1d(image.astype(np.float64), holes, axis=0, mode="nearest")
    return correlate1d(rows, holes, axis=1, mode="nearest")


def test_order_3_and_scale_2_are_the_published_filter():
    np.testing.assert_allclose(TAPS * 16, [1, 4, 6, 4, 1], rtol=1e-14)


@pytest.mark.parametrize(("order", "scale"), [(1, 2.0), (2, 3.0), (3, 2.0), (4, 1.5)])
def test_taps_are_a_centred_spline(order, scale):
    taps = wavelet.spline_taps(order, scale)
    half = taps.size // 2
    knots = np.arange(order + 1) - order / 2
    spline = BSpline.basis_element(knots, extrapolate=False)
    values = np.nan_to_num(spline(np.arange(-half, half + 1) / scale))
    np.testing.assert_allclose(taps, values / values.sum(), atol=1e-12)


@both
@pytest.mark.parametrize(("order", "scale"), [(3, 2.0), (1, 2.0), (2, 3.0), (3, 4.0)])
def test_smoothing_matches_scipy_with_repeated_edges(run, order, scale):
    taps = wavelet.spline_taps(order, scale)
    first, second, fine, _ = planes(COUNTS, run, taps=taps)
    expected = reference(photons(COUNTS), 1, taps)
    np.testing.assert_allclose(first, expected, rtol=1e-6)
    np.testing.assert_allclose(second, reference(expected, 2, taps), rtol=1e-6)
    np.testing.assert_allclose(fine, photons(COUNTS) - expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3), (4, 60)])
def test_frames_smaller_than_the_filter_are_smoothed(shape):
    adu = np.resize(COUNTS, shape)
    first, second, _, _ = planes(adu)
    expected = reference(photons(adu), 1)
    np.testing.assert_allclose(first, expected, rtol=1e-6)
    np.testing.assert_allclose(second, reference(expected, 2), rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_a_frame_without_pixels_has_planes_without_pixels(shape):
    assert planes(np.empty(shape, np.uint16))[1].shape == shape


@both
def test_every_pixel_has_its_own_offset_and_gain(run):
    rng = np.random.default_rng(3)
    offset = rng.uniform(90, 110, COUNTS.shape).astype(np.float32)
    gain = rng.uniform(0.4, 0.6, COUNTS.shape).astype(np.float32)
    expected = reference((COUNTS - offset.astype(float)) * gain, 1)
    first, *_ = planes(COUNTS, run, offset=offset, gain=gain)
    np.testing.assert_allclose(first, expected, rtol=1e-6)


@both
def test_one_row_of_maps_holds_for_all(run):
    offset, gain = np.full((2, 1, COUNTS.shape[1]), 0.46, np.float32)
    level, band, fine = np.empty((3, *COUNTS.shape), np.float32)
    run(COUNTS, offset, gain, TAPS, 1, level, band, fine)
    np.testing.assert_array_equal(level, planes(COUNTS, offset=0.46)[1])


@both
@pytest.mark.parametrize("step", [1, 2, 3, 5, 23, 30])
def test_noise_is_sampled_at_the_same_rows_always(run, step):
    fine = planes(COUNTS, run, step=step)[2]
    np.testing.assert_array_equal(fine, planes(COUNTS)[2][step // 2 :: step])


def test_a_nan_spoils_its_surroundings_only():
    gain = np.full(COUNTS.shape, 0.46)
    gain[10, 10] = np.nan
    fine = planes(COUNTS, gain=gain)[2]
    assert np.isnan(fine[8:13, 8:13]).all()
    assert np.isfinite(fine).sum() == fine.size - 25


def test_planes_add_up_to_the_frame():
    _, level, fine, band = planes(COUNTS)
    np.testing.assert_allclose(fine + band + level, photons(COUNTS), rtol=1e-6)


def test_noise_response_is_that_of_white_noise():
    noise = np.random.default_rng(2).normal(30_000, 70, (400, 400)).astype(np.uint16)
    _, _, fine, band = planes(noise)
    measured = [fine.std() / 70 / 0.46, band.std() / 70 / 0.46]
    np.testing.assert_allclose(measured, wavelet.noise_response(TAPS), rtol=0.02)
