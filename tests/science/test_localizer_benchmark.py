"""The localizer on public movies, beside what other programs make of them."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.spatial import cKDTree

from her2sr_proc.localizer import localize_block
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import PAPER_LOCALIZE, LocalizeParams

SHARED = Path(
    os.environ.get("HER2SR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
)
needs_movies = pytest.mark.skipif(
    not (SHARED / "smlm2016_like_ld.tif").exists(),
    reason="the public benchmark movies are not on this machine",
)


def localize(movie, camera, pixel_nm, params):
    return localize_block(
        movie, first_frame=0, camera=camera, pixel_nm=pixel_nm, params=params
    )


def score(table, truth):
    """Jaccard (%) and lateral RMSE (nm) by the rules of the 2016 challenge."""
    dim = np.quantile(truth[:, 4], 0.25)
    hits, found, missed, squares = 0, 0, 0, 0.0
    for frame in np.unique(truth[:, 0]).astype(int):
        true = truth[truth[:, 0] == frame]
        true = true[((true[:, 1:3] > 450) & (true[:, 1:3] < 5950)).all(axis=1)]
        rows = table["frame"] == frame - 1
        seen = np.column_stack([table["x_nm"][rows], table["y_nm"][rows]]) + 50.0
        seen = seen[((seen > 450) & (seen < 5950)).all(axis=1)]
        far = np.hypot(
            seen[:, None, 0] - true[None, :, 1], seen[:, None, 1] - true[None, :, 2]
        )
        taken = np.zeros(len(true), bool)
        paired = 0
        while far.size and far.min() <= 250:
            i, j = np.unravel_index(far.argmin(), far.shape)
            if true[j, 4] >= dim:
                hits += 1
                squares += far[i, j] ** 2
            taken[j] = True
            paired += 1
            far[i, :] = far[:, j] = np.inf
        found += len(seen) - paired
        missed += int((~taken & (true[:, 4] >= dim)).sum())
    return 100 * hits / (hits + found + missed), np.sqrt(squares / hits)


@needs_movies
@pytest.mark.parametrize(
    ("name", "params", "least_jaccard", "least_efficiency"),
    [
        ("ld", LocalizeParams(sigma_px=1.3), 93.0, 78.0),
        ("hd", LocalizeParams(sigma_px=1.3), 76.0, 53.0),
    ],
    ids=["low density", "high density"],
)
def test_the_public_benchmark_is_met(name, params, least_jaccard, least_efficiency):
    movie = tifffile.imread(SHARED / f"smlm2016_like_{name}.tif")
    truth = np.loadtxt(
        SHARED / f"smlm2016_like_{name}_truth.csv", delimiter=",", skiprows=1
    )
    model = CameraModel(
        pixel_nm=100, offset_adu=100, e_per_adu=45, em_gain=300, read_noise_e=74.4
    )
    camera = CameraMaps.uniform(model, movie.shape[1:])
    jaccard, rmse_nm = score(localize(movie, camera, 100.0, params), truth)
    efficiency = 100 - np.hypot(100 - jaccard, rmse_nm)
    assert jaccard > least_jaccard
    assert efficiency > least_efficiency


@needs_movies
def test_the_papers_profile_is_thunderstorm_row_by_row():
    """Every row, to a nanometre and half a percent; the median far closer."""
    movie = tifffile.imread(SHARED / "thunderstorm_input.tif")
    theirs = np.loadtxt(SHARED / "thunderstorm_output.csv", delimiter=",", skiprows=1)
    camera = CameraMaps.uniform(CameraModel(), movie.shape[1:])
    ours = localize(movie, camera, 130.0, PAPER_LOCALIZE)
    here = np.column_stack([ours["frame"], ours["x_nm"] + 65, ours["y_nm"] + 65])
    there = theirs[:, 1:4] - [1, 0, 0]
    far, row = cKDTree(here * [1e6, 1, 1]).query(there * [1e6, 1, 1])
    assert len(ours) == len(theirs) == np.unique(row).size
    assert far.max() < 1.0
    assert np.median(far) < 0.01
    for name, column in (("sigma_nm", 4), ("photons", 5), ("background_sd_photons", 7)):
        np.testing.assert_allclose(ours[name][row], theirs[:, column], rtol=5e-3)
    np.testing.assert_allclose(ours["background_photons"][row], theirs[:, 6], atol=0.05)
    np.testing.assert_allclose(ours["uncertainty_nm"][row], theirs[:, 9], rtol=5e-3)
