"""The wavelet filter, compiled and interpreted, against scipy."""

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.ndimage import correlate1d

from her2sr_proc.kernels import wavelet

TAPS = wavelet.spline_taps(3, 2.0)
IMAGE = np.random.default_rng(1).normal(300, 20, (23, 31)).astype(np.float32)
MODES = [wavelet.smooth, getattr(wavelet.smooth, "py_func", wavelet.smooth)]


def reference(image, step):
    holes = np.zeros((TAPS.size - 1) * step + 1)
    holes[::step] = TAPS
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


@pytest.mark.parametrize("run", MODES, ids=["compiled", "interpreted"])
@pytest.mark.parametrize("step", [1, 2])
def test_smoothing_matches_scipy_with_repeated_edges(run, step):
    out = np.full_like(IMAGE, np.nan)
    run(IMAGE, TAPS, step, out)
    np.testing.assert_allclose(out, reference(IMAGE, step), rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_frames_smaller_than_the_filter_are_smoothed(shape):
    image = IMAGE[: shape[0], : shape[1]].copy()
    out = np.full_like(image, np.nan)
    wavelet.smooth(image, TAPS, 2, out)
    np.testing.assert_allclose(out, reference(image, 2), rtol=1e-6)


def test_a_nan_spoils_its_surroundings_only():
    image = IMAGE.copy()
    image[10, 10] = np.nan
    out = np.empty_like(image)
    wavelet.smooth(image, TAPS, 1, out)
    assert np.isnan(out[8:13, 8:13]).all()
    assert np.isfinite(out).sum() == out.size - 25


def test_planes_add_up_to_the_frame():
    v1, v2, fine, band = (np.empty_like(IMAGE) for _ in range(4))
    wavelet.decompose(IMAGE, TAPS, v1, v2, fine, band)
    np.testing.assert_allclose(fine + band + v2, IMAGE, rtol=1e-6)


def test_noise_response_is_that_of_white_noise():
    noise = np.random.default_rng(2).normal(0, 7, (400, 400)).astype(np.float32)
    planes = [np.empty_like(noise) for _ in range(4)]
    wavelet.decompose(noise, TAPS, *planes)
    measured = [planes[2].std() / 7, planes[3].std() / 7]
    np.testing.assert_allclose(measured, wavelet.noise_response(TAPS), rtol=0.02)
