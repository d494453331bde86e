"""Colours are brought into one frame by beads, or refused."""

import numpy as np
import pytest

from her2sr_proc.errors import DataError
from her2sr_proc.registration import (
    moved,
    moved_image,
    register,
    within_region,
)
from her2sr_proc.schema.calibration import AffineTransform

FRAME = (66_000.0, 66_000.0)
TRUE = AffineTransform(xx=1.0008, xy=2e-4, x_nm=28.0, yx=-1e-4, yy=0.9995, y_nm=-17.0)


def film(beads: int, seed: int = 3, error_nm: float = 3.0, side: float = 66_000.0):
    rng = np.random.default_rng(seed)
    moving = rng.uniform(0.0, side, (beads, 2))
    fixed = moved(moving, TRUE) + rng.normal(0.0, error_nm, (beads, 2))
    return moving, fixed


def worst_nm(found: AffineTransform, true: AffineTransform = TRUE) -> float:
    corners = np.array([[0, 0], [66e3, 0], [0, 66e3], [66e3, 66e3], [33e3, 33e3]])
    return float(np.abs(moved(corners, found) - moved(corners, true)).max())


def test_an_affine_map_is_found_to_a_few_nanometres_at_every_corner():
    moving, fixed = film(90)
    fit = register(moving, fixed, frame_nm=FRAME)
    assert worst_nm(fit.transform) < 5.0
    assert fit.pairs == 90
    assert 3.0 < fit.residual_nm < 7.0  # 3 nm in x and in y of both colours' beads


def test_beads_that_one_colour_alone_shows_are_no_pairs():
    moving, fixed = film(90)
    strangers = np.random.default_rng(8).uniform(0.0, 66_000.0, (60, 2))
    fit = register(
        np.concatenate([strangers[:30], moving[10:]]),
        np.concatenate([fixed[:70], strangers[30:]]),
        frame_nm=FRAME,
    )
    assert worst_nm(fit.transform) < 8.0
    assert 50 <= fit.pairs <= 62
    rows = fit.kept
    assert len(set(rows[:, 0].tolist())) == len(rows) == len(set(rows[:, 1].tolist()))


def test_an_offset_of_a_micrometre_is_found_all_the_same():
    moving, fixed = film(60)
    fit = register(moving, fixed + np.array([900.0, -800.0]), frame_nm=FRAME)
    far = TRUE.model_copy(update={"x_nm": 928.0, "y_nm": -817.0})
    assert worst_nm(fit.transform, far) < 6.0


def test_few_beads_give_turn_scale_and_shift_alone():
    moving, fixed = film(20)
    found = register(moving, fixed, frame_nm=FRAME).transform
    assert found.xx == pytest.approx(found.yy)
    assert found.xy == pytest.approx(-found.yx)


@pytest.mark.parametrize("beads", [0, 1, 11])
def test_too_few_beads_are_refused(beads):
    moving, fixed = film(beads)
    with pytest.raises(DataError, match=f"{beads} beads shine in both .* 12 are"):
        register(moving, fixed, frame_nm=FRAME)


def test_beads_in_a_corner_alone_are_refused():
    moving, fixed = film(80, side=20_000.0)
    with pytest.raises(DataError, match="1 of the nine parts of the frame"):
        register(moving, fixed, frame_nm=FRAME)


def test_beads_that_no_map_fits_are_refused():
    moving, fixed = film(80, error_nm=60.0)
    with pytest.raises(DataError, match="left out of the fit lie"):
        register(moving, fixed, frame_nm=FRAME)


def test_two_films_that_have_nothing_in_common_are_refused():
    moving, _ = film(80, seed=1)
    fixed, _ = film(80, seed=2)
    with pytest.raises(DataError, match="beads"):
        register(moving, fixed, frame_nm=FRAME)


def test_an_image_is_moved_as_its_points_are():
    rows, columns = np.indices((64, 64))
    image = np.exp(-((columns - 20.0) ** 2 + (rows - 40.0) ** 2) / 18.0)
    shift = AffineTransform(x_nm=260.0, y_nm=-390.0)
    found = moved_image(image.astype(np.float32), shift, pixel_nm=130.0)
    assert np.unravel_index(found.argmax(), found.shape) == (37, 22)
    assert moved_image(image, None, pixel_nm=130.0) is image


def test_a_region_of_the_sensor_keeps_the_map_of_its_places():
    corner = np.array([5_000.0, 9_000.0])
    places = np.array([[0.0, 0.0], [4_000.0, 7_000.0]])
    inside = within_region(TRUE, x_nm=corner[0], y_nm=corner[1])
    assert moved(places, inside) == pytest.approx(moved(places + corner, TRUE) - corner)
