"""How far spots stand out of curved ground."""

import numpy as np
import pytest
from scipy.stats import norm

from her2sr_proc.kernels import relief

SIGMA, RADIUS = 1.3, 5
EDGES = np.arange(42) - 0.5
ROW, COLUMN = np.mgrid[:41, :41]


def significance(light, places=((20, 20),), run=relief.significance, gain=0.5):
    adu = np.round(np.asarray(light) / gain + 100).astype(np.uint16)
    columns, rows = np.array(places, np.int32).T.copy()
    out = np.full(rows.size, np.nan)
    shapes = relief.shapes(SIGMA, RADIUS)
    row = np.full((1, adu.shape[1]), 1.0, np.float32)
    run(adu, 100 * row, gain * row, 2 * row, 1.0, shapes, rows, columns, out)
    return out


def spot(photons, x=20.0, y=20.0):
    return photons * np.outer(
        np.diff(norm.cdf(EDGES, y, SIGMA)), np.diff(norm.cdf(EDGES, x, SIGMA))
    )


@pytest.mark.parametrize(
    "run",
    [relief.significance, getattr(relief.significance, "py_func", relief.significance)],
    ids=["compiled", "interpreted"],
)
def test_a_curved_ground_without_noise_does_not_stand_out(run):
    u, v = (COLUMN - 20) / 20, (ROW - 20) / 20
    ground = 2000 + 300 * u - 200 * v + 400 * u * u - 350 * u * v + 150 * v * v
    assert abs(significance(ground, run=run)[0]) < 0.1
    assert significance(ground + spot(3000), run=run)[0] > 5


def test_noise_alone_is_a_few_deviations_at_most():
    rng = np.random.default_rng(1)
    values = [significance(rng.poisson(60.0, (41, 41)))[0] for _ in range(400)]
    # the best of nine filters that are much alike
    assert 0.1 < np.mean(values) < 0.8
    assert np.mean(np.array(values) > 3.0) < 0.02


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, 0.5), (-0.45, 0.2)])
def test_a_spot_between_pixels_loses_little(shift):
    ground = np.full((41, 41), 100.0)
    middle = significance(ground + spot(2000))[0]
    off = significance(ground + spot(2000, 20 + shift[0], 20 + shift[1]))[0]
    assert off > 0.85 * middle


def test_a_place_at_the_corner_has_a_value():
    values = significance(np.full((41, 41), 50.0), [(0, 0), (40, 40), (40, 0)])
    assert np.abs(values).max() < 0.1
