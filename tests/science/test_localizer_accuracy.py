"""What the localizer claims of its accuracy, against a simulation of its own.

Tolerances are several standard errors of the numbers of spots drawn.
"""

import numpy as np
import pytest
from scipy.stats import norm

from her2sr_proc.localizer import localize_block
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams

BOX = 15
SPOTS = 3000
PARAMS = LocalizeParams(sigma_px=1.3, width="free")


def shares(centre, sigma, size=BOX):
    """Fractions of a Gaussian on the pixels of one axis, shape (spots, size)."""
    edges = np.arange(size + 1) - 0.5
    return np.diff(norm.cdf(edges, centre[:, None], sigma), axis=1)


def scene(rng, *, photons, background, sigma=1.3, variance=2.56):
    """Frames with one spot each, as means, and where it stands."""
    x, y = rng.uniform(-0.5, 0.5, (2, SPOTS)) + BOX // 2
    mean = shares(y, sigma)[:, :, None] * shares(x, sigma)[:, None, :]
    return x, y, background + photons * mean


def expose(rng, mean, camera: CameraMaps):
    """Poisson light and normal read noise, pixel by pixel, as counts."""
    electrons = rng.poisson(mean) + rng.normal(
        0, np.sqrt(camera.variance_e2), mean.shape
    )
    adu = electrons / camera.e_per_adu + camera.offset_adu
    return np.clip(np.round(adu), 0, 65535).astype(np.uint16)


def fine_camera(variance_e2) -> CameraMaps:
    """A camera whose counts are so fine that rounding adds no noise."""
    flat = np.ones((BOX, BOX), np.float32)
    return CameraMaps(
        offset_adu=200 * flat, e_per_adu=0.15 * flat, variance_e2=variance_e2 * flat
    )


def bound_px(photons, background, variance_e2, x, y, sigma=1.3, excess=1.0):
    """The bound of x at the true parameters of every spot, by finite differences."""
    theta = np.array([0, 0, photons, background, sigma], float)

    def mean(shift):
        p = theta + shift
        along = shares(y + p[1], p[4])[:, :, None] * shares(x + p[0], p[4])[:, None, :]
        return p[3] + p[2] * along

    slopes = []
    for a in range(5):
        step = np.zeros(5)
        step[a] = 1e-4 * max(theta[a], 1)
        slopes.append((mean(step) - mean(-step)) / (2 * step[a]))
    slopes = np.array(slopes).reshape(5, len(x), -1)
    total = (excess * mean(np.zeros(5)) + variance_e2).reshape(len(x), -1)
    fisher = np.einsum("anp,bnp,np->nab", slopes, slopes, 1 / total)
    return np.sqrt(np.linalg.inv(fisher)[:, 0, 0])


def localize(adu, camera, params=PARAMS):
    return localize_block(
        adu, first_frame=0, camera=camera, pixel_nm=100.0, params=params
    )


def first_of_each(table, frames):
    """The rows nearest to the middle, one a frame."""
    middle = 100.0 * (BOX // 2)
    off = np.hypot(table["x_nm"] - middle, table["y_nm"] - middle)
    order = np.lexsort((off, table["frame"]))
    _, index = np.unique(table["frame"][order], return_index=True)
    return table.take(order[index])


@pytest.mark.parametrize(
    ("photons", "background", "read_e"),
    [(200, 2, 0.5), (500, 5, 1.6), (1000, 50, 1.6), (5000, 50, 1.6), (20000, 200, 1.6)],
)
def test_isolated_emitters_reach_the_bound_without_bias(photons, background, read_e):
    rng = np.random.default_rng(photons)
    x, y, mean = scene(rng, photons=photons, background=background)
    camera = fine_camera(read_e**2)
    found = first_of_each(localize(expose(rng, mean, camera), camera), SPOTS)
    at = found["frame"]
    assert len(found) > 0.995 * SPOTS
    error = found["x_nm"] / 100 - x[at]
    bound = bound_px(photons, background, read_e**2, x[at], y[at])
    assert np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(bound**2)) <= 1.05
    assert 0.95 <= np.std(error * 100 / found["uncertainty_x_nm"]) <= 1.05
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))
    assert found["photons"].mean() == pytest.approx(photons, rel=0.02)
    assert found["background_photons"].mean() == pytest.approx(background, rel=0.02)


def test_no_phase_of_the_pixel_is_favoured():
    rng = np.random.default_rng(1)
    x, _, mean = scene(rng, photons=3000, background=20)
    camera = fine_camera(2.56)
    found = first_of_each(localize(expose(rng, mean, camera), camera), SPOTS)
    error = found["x_nm"] / 100 - x[found["frame"]]
    phase = np.digitize(x[found["frame"]] % 1, np.linspace(0, 1, 9)[1:-1])
    for k in range(8):
        part = error[phase == k]
        assert abs(part.mean()) < 4 * part.std() / np.sqrt(part.size)


def test_a_noisy_pixel_that_the_map_knows_costs_precision_but_not_honesty():
    rng = np.random.default_rng(2)
    variance = np.full((BOX, BOX), 2.56, np.float32)
    variance[6, 8] = variance[8, 6] = 40.0**2
    camera = fine_camera(1.0)
    camera = CameraMaps(camera.offset_adu, camera.e_per_adu, variance)
    x, y, mean = scene(rng, photons=2000, background=20)
    found = first_of_each(localize(expose(rng, mean, camera), camera), SPOTS)
    at = found["frame"]
    error = found["x_nm"] / 100 - x[at]
    bound = bound_px(2000, 20, variance, x[at], y[at])
    assert np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(bound**2)) <= 1.05
    assert 0.95 <= np.std(error * 100 / found["uncertainty_x_nm"]) <= 1.05


def test_electron_multiplication_doubles_the_variance_and_is_reported_so():
    rng = np.random.default_rng(3)
    model = CameraModel(
        pixel_nm=100, offset_adu=100, e_per_adu=20, em_gain=300, read_noise_e=50
    )
    camera = CameraMaps.uniform(model, (BOX, BOX))
    x, y, mean = scene(rng, photons=1000, background=10)
    electrons = rng.gamma(np.maximum(rng.poisson(mean), 1e-9), 300.0)
    adu = (electrons + rng.normal(0, 50, mean.shape)) / 20 + 100
    counts = np.clip(np.round(adu), 0, 65535).astype(np.uint16)
    found = first_of_each(localize(counts, camera), SPOTS)
    at = found["frame"]
    error = found["x_nm"] / 100 - x[at]
    bound = bound_px(1000, 10, (50 / 300) ** 2, x[at], y[at], excess=2.0)
    assert np.sqrt(np.mean(error**2)) / np.sqrt(np.mean(bound**2)) <= 1.06
    assert 0.94 <= np.std(error * 100 / found["uncertainty_x_nm"]) <= 1.06
    assert found["photons"].mean() == pytest.approx(1000, rel=0.02)


def halves(rows, columns):
    return np.where(columns < 64, 100.0, 450.0) + 0.0 * rows


def bump(rows, columns):
    return 100 + 350 * np.exp(-((rows - 40) ** 2 + (columns - 70) ** 2) / 800)


@pytest.mark.parametrize(
    ("background", "most"),
    [
        (lambda r, c: 0.0 * r, 10),
        (lambda r, c: 100.0 + 0 * r, 14),
        (bump, 14),
        (halves, 30),
    ],
    ids=["dark", "flat", "bump", "edge"],
)
@pytest.mark.parametrize("sigma_px", [0.68, 1.3])
def test_noise_gives_about_as_many_false_spots_as_asked_for(background, most, sigma_px):
    """3 a megapixel are 4 in 80 frames of 128 x 128; less than twice as many come.

    14 of 8 is 98 in 100. An edge of 350 photons adds less than one in four frames.
    """
    rng = np.random.default_rng(4)
    mean = background(*np.mgrid[:128, :128].astype(float))
    camera = CameraMaps.uniform(CameraModel(), (128, 128))
    adu = expose(rng, np.broadcast_to(mean, (80, 128, 128)), camera)
    params = LocalizeParams(sigma_px=sigma_px, false_per_mpx=3.0)
    assert len(localize(adu, camera, params)) <= most
