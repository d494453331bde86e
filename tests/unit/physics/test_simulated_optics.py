"""Objective, beam and drift: sizes, places and light of what is drawn."""

import math

import numpy as np
import pytest
from scipy import stats

from her2sr_proc.errors import RequestError
from simulators._kernels import image as images
from simulators.dyes import MERGE_PX, Dyes
from simulators.optics import Beam, Drift, Light, View, powers, sigma_um, sigmas_um
from simulators.options import OpticsOptions, SimulationOptions, StageOptions
from simulators.specimen import Specimen

OPTIONS = SimulationOptions(height=128, width=128)
FLAT = StageOptions(
    tilt_x_mrad=0.0, tilt_y_mrad=0.0, drift_xy_nm_per_min=0.0, drift_z_nm_per_min=0.0
)


def spot(y: float, x: float, sigma: float, photons: float = 1000.0) -> np.ndarray:
    image = np.zeros((41, 51), np.float32)
    images.add_spot(image, y, x, sigma, photons, np.zeros((2, 64)))
    return image


def test_a_spot_is_the_integral_of_a_gaussian_over_each_pixel() -> None:
    y, x, sigma = 19.3, 24.8, 1.1
    rows = np.diff(stats.norm.cdf(np.arange(42) - 0.5, y, sigma))
    columns = np.diff(stats.norm.cdf(np.arange(52) - 0.5, x, sigma))
    expected = 1000.0 * np.outer(rows, columns)
    np.testing.assert_allclose(spot(y, x, sigma), expected, atol=0.01)


@pytest.mark.parametrize("sigma", [0.6, 1.5, 4.0])
def test_no_photon_of_a_spot_is_lost(sigma: float) -> None:
    assert spot(20.0, 25.4, sigma).sum() == pytest.approx(1000.0, rel=1e-4)


@pytest.mark.parametrize(
    ("y", "x"), [(-1.0, 25.0), (40.0, 50.0), (-50.0, 9.0), (20.0, 90.0)]
)
def test_a_spot_at_the_border_keeps_what_falls_inside(y: float, x: float) -> None:
    rows = np.diff(stats.norm.cdf([-0.5, 40.5], y, 1.3))
    columns = np.diff(stats.norm.cdf([-0.5, 50.5], x, 1.3))
    expected = 1000.0 * rows[0] * columns[0]
    assert spot(y, x, 1.3).sum() == pytest.approx(expected, abs=0.1)


def test_compiled_and_interpreted_spots_agree() -> None:
    image = np.zeros((41, 51), np.float32)
    images.add_spot.py_func(image, 12.2, 30.7, 0.8, 500.0, np.zeros((2, 64)))
    np.testing.assert_allclose(image, spot(12.2, 30.7, 0.8, 500.0), rtol=1e-6)


def test_widths_in_focus_are_those_of_the_objective() -> None:
    green, red = 1000.0 * sigmas_um(OPTIONS.optics)[:2]
    assert 78.0 <= green <= red <= 92.5
    assert sigma_um(OpticsOptions(), 525.0) == pytest.approx(0.21 * 0.525 / 1.4)


def test_a_locus_one_micrometre_off_focus_is_four_times_as_wide() -> None:
    def width(focus_um: float) -> float:
        image = np.zeros((81, 81), np.float32)
        one = np.zeros(1, np.int64)
        centre, focus = np.array([40.0]), np.array([focus_um])
        arrays = (centre, centre, focus, np.array([0.7]))
        bounds, light = np.array([0, 1]), np.array([1e5])
        depth = OPTIONS.optics.focal_depth_um
        shift, scratch = np.zeros(3), np.zeros((2, 128))
        images.draw(image, one, bounds, light, *arrays, depth, shift, math.inf, scratch)
        rows = image.sum(axis=1, dtype=np.float64)
        offset = np.arange(81) - 40.0
        return math.sqrt(np.sum(rows * offset**2) / rows.sum() - 1 / 12)

    assert width(1.0) / width(0.0) == pytest.approx(4.0, rel=0.01)
    assert width(-1.0) == pytest.approx(width(1.0))


def test_wide_signals_drawn_whole_look_like_their_dyes_drawn_one_by_one() -> None:
    rng = np.random.default_rng(1)
    many = 60
    y, x = 30.0 + 0.65 * rng.standard_normal((2, many))
    focus, sigma = rng.normal(0.9, 0.085, many), np.full(many, 0.65)
    light = rng.uniform(100.0, 500.0, many)
    found = []
    for merge in (MERGE_PX, math.inf):
        image = np.zeros((61, 61), np.float32)
        index, bounds = np.arange(many), np.array([0, many])
        tail = (0.2582, np.zeros(3), merge, np.zeros((2, 128)))
        images.draw(image, index, bounds, light, y, x, focus, sigma, *tail)
        found.append(image)
    assert np.abs(found[0] - found[1]).max() < 0.03 * found[1].max()


def test_the_beam_fills_the_frame_and_ends_beyond_it() -> None:
    beam = Beam.of(OPTIONS)
    half = 128 * 0.13 / 2
    along = beam.at(np.array([0.0, half, half + 1.0, half + 4.0]), np.zeros(4))
    assert along[0] == pytest.approx(1.0)
    assert along[1] > 0.8
    assert along[2] == pytest.approx(0.46, abs=0.05)
    assert along[3] < 1e-4


def test_the_corner_of_the_beam_is_dimmer_by_the_fall_off() -> None:
    optics = OpticsOptions(beam_falloff=0.3, beam_margin_um=50.0, beam_skirt_um=0.5)
    beam = Beam.of(OPTIONS.model_copy(update={"optics": optics}))
    corner = beam.at(np.array([beam.half_x_um - 3]), np.array([beam.half_y_um - 3]))
    assert corner[0] == pytest.approx(0.7, abs=0.04)


def test_a_laser_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="no 532 nm laser; use one of 405, 488"):
        powers((Light(532, 0.1),))


def test_lines_of_one_laser_add_up() -> None:
    np.testing.assert_allclose(
        powers((Light(488, 0.1), Light(561, 0.2), Light(488, 0.3))), [0, 0.4, 0.2, 0]
    )


def test_drift_starts_at_zero_and_stays_near() -> None:
    drift = Drift(StageOptions(), 3)
    assert np.all(drift.at(0.0) == 0.0)
    path = np.array([drift.at(t) for t in np.arange(0.0, 36_000.0, 30.0)])
    assert np.abs(path).max() < 0.5
    speed = np.diff(path, axis=0) / 0.5 * 1000.0
    assert np.sqrt(np.mean(speed[:, :2] ** 2)) == pytest.approx(5.0, rel=0.3)


def aimed(stage: StageOptions, x_um: float = 0.0, **optics: bool) -> Dyes:
    update = {"stage": stage, "optics": OpticsOptions(**optics)}
    options = OPTIONS.model_copy(update=update)
    dyes = Dyes(options, Specimen(options))
    view = View(x_um, 0.0, 1.5, 0.03, (Light(561, 0.4),))
    dyes.aim(view, (x_um, 0.0, 1.5), 1.0)
    return dyes


def test_pixels_are_where_the_stage_says() -> None:
    dyes = aimed(FLAT, x_um=40.0, chromatic=False)
    x_px = dyes.places[:, 1]
    np.testing.assert_allclose(40.0 + (x_px - 63.5) * 0.13, dyes.table.x_um)
    y_px = dyes.places[:, 0]
    np.testing.assert_allclose((y_px - 63.5) * 0.13, dyes.table.y_um)
    np.testing.assert_allclose(dyes.places[:, 2], dyes.table.z_um - 1.5)


def test_red_light_is_displaced_against_green() -> None:
    true, plain = aimed(FLAT), aimed(FLAT, chromatic=False)
    moved = (true.places - plain.places) * np.array([130.0, 130.0, 1000.0])
    np.testing.assert_allclose(moved[true.table.species == 0], 0.0, atol=1e-9)
    red = moved[true.table.species == 1]
    np.testing.assert_allclose(red - [-17.0, 28.0, -70.0], 0.0, atol=1e-6)


def test_a_tilted_slide_is_out_of_focus_on_one_side() -> None:
    tilted = aimed(FLAT.model_copy(update={"tilt_x_mrad": 10.0}), chromatic=False)
    lift = tilted.places[:, 2] + 1.5 - tilted.table.z_um
    np.testing.assert_allclose(lift, 0.01 * tilted.table.x_um, atol=1e-9)
