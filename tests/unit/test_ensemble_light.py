"""A frame of ensemble light is told from itself, and its blobs stay whole."""

import numpy as np
import pytest

from her2sr_proc.ensemble_light import FEWEST, GLARING, SHARE, is_ensemble
from her2sr_proc.localizer import FitStatus, localize_block
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import concatenate

SIDE, KNOWN_NM = 96, 0.7 * 130.0


@pytest.mark.parametrize(
    ("blobs", "others", "told"),
    [
        pytest.param(0, 0, False, id="nothing was found"),
        pytest.param(FEWEST - 1, 0, False, id="too few to be no chance"),
        pytest.param(FEWEST, 0, True, id="few, and nothing else"),
        pytest.param(FEWEST, int(FEWEST / SHARE), False, id="few among many"),
        pytest.param(60, 2900, True, id="a full chip of them"),
    ],
)
def test_enough_glaring_blobs_make_a_frame_of_ensemble_light(blobs, others, told):
    significance = np.repeat([GLARING + 1.0, GLARING, 0.0], [blobs, 0, others])
    assert is_ensemble(significance) is told


def test_blobs_just_below_glaring_do_not_count():
    assert not is_ensemble(np.full(50, GLARING))


def movie(photons, width, *, beside=0.0, count=2):
    """Sixteen spots of a width, each with a narrow molecule at its side if asked."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mean = np.full((SIDE, SIDE), 60.0)
    for y in range(12, SIDE, 24):
        for x in range(12, SIDE, 24):
            mean += photons * bell(rows, columns, y, x, width)
            mean += beside * bell(rows, columns, y + 11, x + 11, 0.7)
    adu = rng.poisson(mean, (count, SIDE, SIDE)) / 0.46 + 100
    return adu.astype(np.uint16)


def bell(rows, columns, y, x, width):
    power = ((rows - y) ** 2 + (columns - x) ** 2) / (2 * width**2)
    return np.exp(-power) / (2 * np.pi * width**2)


def localize(adu, first_frame=0, **params):
    return localize_block(
        adu,
        first_frame=first_frame,
        camera=CameraMaps.uniform(CameraModel(), adu.shape[1:]),
        pixel_nm=130.0,
        params=LocalizeParams(sigma_px=0.7, **params),
    )


def test_a_blob_of_ensemble_light_is_one_row_of_its_own_width():
    table = localize(movie(12_000.0, 1.8))
    assert len(table) == 2 * 16
    # the width that is guessed of nine noisy pixels misses one or two of them
    assert (table["status"] == FitStatus.CENTROID).mean() > 0.9
    np.testing.assert_allclose(table["sigma_nm"], 1.8 * 130.0, rtol=0.1)
    np.testing.assert_allclose(table["photons"], 12_000.0, rtol=0.1)


def test_a_molecule_between_the_blobs_is_still_one_of_the_known_width():
    table = localize(movie(12_000.0, 1.8, beside=700.0))
    is_known = np.isclose(table["sigma_nm"], KNOWN_NM)
    assert (table["status"] == FitStatus.CENTROID).sum() > 0.9 * 2 * 16
    assert is_known.sum() == 2 * 9  # of the last row and column they lie on the edge


def test_dim_blobs_are_treated_as_ever():
    table = localize(movie(700.0, 1.8))
    assert len(table) > 0
    assert FitStatus.CENTROID not in table["status"]


@pytest.mark.parametrize(
    "params", [{"emitters": "single"}, {"width": "known"}, {"width": "free"}]
)
def test_where_nothing_is_ever_parted_nothing_is_marked(params):
    table = localize(movie(12_000.0, 1.8), **params)
    assert FitStatus.CENTROID not in table["status"]


def test_each_frame_is_told_by_itself():
    adu = np.concatenate([movie(12_000.0, 1.8), movie(700.0, 0.7)])
    whole = localize(adu)
    parts = [localize(adu[n : n + 1], first_frame=n) for n in range(len(adu))]
    for name, column in concatenate(parts).columns.items():
        np.testing.assert_array_equal(column, whole[name], err_msg=name)
    marked = whole["frame"][whole["status"] == FitStatus.CENTROID]
    assert sorted(set(marked.tolist())) == [0, 1]
