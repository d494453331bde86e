"""What is a signal, what is stray, what glows, and what is typical of a channel."""

import numpy as np
import pytest

from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.table import Localizations, empty
from her2sr_proc.signals import (
    Fluctuation,
    Signals,
    conventional_limits,
    conventional_signals,
    sharp_fwhm_nm,
    steady_glow,
    superresolved_signals,
    typical_strength,
)
from her2sr_proc.spots import Optics, Spots, draw

PIXEL_NM = 130.0
PARAMS = CountParams()
OPTICS = Optics(2, PARAMS.probe_sigma_nm / PIXEL_NM)
SHAPE = (128, 128)
TYPICAL = PARAMS.typical_fluctuation_e2


def spots(*rows):
    y, x, width, strength = np.array(rows, float).T
    return Spots(y, x, width**2, strength, np.full(len(y), 100.0))


def fluctuation(truth):
    generator = np.random.default_rng(3)
    images = []
    for smooth_nm, noise in ((PARAMS.fine_nm, 1.0), (PARAMS.coarse_nm, 0.3)):
        image = draw(truth, SHAPE, smooth_nm / PIXEL_NM, OPTICS)
        images.append((image + noise * generator.normal(size=SHAPE)).astype(np.float32))
    return Fluctuation(*images)


def table(*points_px):
    """Ten localizations at each y, x."""
    points = np.repeat(np.array(points_px, np.float32), 10, axis=0)
    columns = {n: np.zeros(len(points), a.dtype) for n, a in empty().columns.items()}
    columns["y_nm"], columns["x_nm"] = (points * np.float32(PIXEL_NM)).T
    return Localizations(columns)


def found(truth, localizations):
    return superresolved_signals(
        fluctuation(truth), localizations, pixel_nm=PIXEL_NM, params=PARAMS
    )


def test_a_stray_dye_is_far_weaker_than_a_signal():
    truth = spots((30, 30, 0.7, TYPICAL), (90, 90, 0.7, TYPICAL / 20))
    signals = found(truth, table((30, 30), (90, 90)))
    strong = signals.relative >= PARAMS.minimum_strength
    np.testing.assert_allclose(signals.spots.y_px[strong], [30], atol=0.5)


def test_a_sharp_signal_without_localizations_is_a_flickering_pixel():
    truth = spots((30, 30, 0.7, TYPICAL), (90, 90, 0.7, TYPICAL))
    signals = found(truth, table((30, 30)))
    np.testing.assert_allclose(signals.spots.y_px, [30], atol=0.5)


def test_a_signal_out_of_focus_needs_no_localizations():
    signals = found(spots((60, 60, 3.0, TYPICAL)), empty())
    assert len(signals.spots) == 1


def test_typical_follows_the_upper_crowd_where_strays_are_many():
    strengths = np.concatenate([np.full(30, 900.0), np.full(30, 20_000.0)])
    typical, told = typical_strength(strengths, 20_000.0, 4.0)
    assert typical == pytest.approx(20_000.0, rel=0.01)
    assert told == 30


def test_without_signals_the_device_tells_what_is_typical():
    assert typical_strength(np.zeros(0), 500.0, 4.0) == (pytest.approx(500.0), 0)


def test_few_signals_only_pull_the_device_value():
    typical, _ = typical_strength(np.full(4, 100.0), 400.0, 4.0)
    assert typical == pytest.approx(200.0)


def conventional(truth, background=100.0):
    light = draw(truth, SHAPE, 0.0, Optics(1, OPTICS.blob_px)) + background
    noisy = np.random.default_rng(5).normal(light, np.sqrt(light / 33))
    return conventional_signals(
        noisy.astype(np.float32), pixel_nm=PIXEL_NM, params=PARAMS
    )


def test_conventional_signals_are_measured_above_their_background():
    light = PARAMS.typical_light_e
    signals = conventional(spots((30, 40, 0.7, light), (90, 80, 1.5, light)))
    kept = signals.relative > PARAMS.minimum_strength
    assert kept.sum() == 2
    np.testing.assert_allclose(signals.spots.strength[kept], light, rtol=0.25)


def test_the_width_of_sharp_signals_is_measured_and_leans_on_the_device():
    rows = [
        (20 + 22 * i, 20 + 22 * j, 0.9, PARAMS.typical_light_e)
        for i in range(5)
        for j in range(5)
    ]
    width = sharp_fwhm_nm(conventional(spots(*rows)), pixel_nm=PIXEL_NM, params=PARAMS)
    true = 2.355 * np.hypot(0.9, OPTICS.blob_px) * PIXEL_NM
    share = 25 / (25 + PARAMS.device_weight)
    expected = share * true + (1 - share) * PARAMS.conventional_fwhm_nm
    assert width == pytest.approx(expected, rel=0.07)
    empty_field = conventional(spots((0, 0, 1, 0.0)))
    device = sharp_fwhm_nm(empty_field, pixel_nm=PIXEL_NM, params=PARAMS)
    assert device == PARAMS.conventional_fwhm_nm


def signals_at(*points):
    rows = [(y, x, 1.0, 1.0) for y, x in points]
    return Signals(spots(*rows), np.ones(len(rows)), 1.0, 0)


def test_what_shines_at_one_place_in_two_colours_glows():
    red, green = signals_at((10, 10), (40, 40)), signals_at((10.3, 10.2), (42, 40))
    assert steady_glow(red, green, pixel_nm=PIXEL_NM).tolist() == [True, False]


def test_wide_conventional_spots_must_be_stronger_than_narrow_ones():
    wide_px = PARAMS.haze_nm / PIXEL_NM
    seen = spots((30, 30, 0.9 * wide_px, 1.0), (60, 60, 1.1 * wide_px, 1.0))
    signals = Signals(seen, np.array([0.4, 0.4]), typical=1.0, isolated=2)
    limits = conventional_limits(signals, pixel_nm=PIXEL_NM, params=PARAMS)
    assert (signals.relative >= limits).tolist() == [True, False]
