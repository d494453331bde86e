"""The plane of a field and the ground of a slide: numbers and drawn pictures alone."""

import numpy as np
import pytest

from her2sr_acq.engine.autofocus import _at_the_end, _Picture
from her2sr_acq.engine.ground import Ground, Guess
from her2sr_acq.engine.relief import Tilt, regions_of, relief, side_of
from her2sr_acq.engine.sharpness import Look, middle, sharpness_of
from her2sr_acq.engine.surface import Point
from her2sr_proc.schema.camera import CameraModel

CAMERA = CameraModel()
DEPTH_UM, PIXEL_UM, SIDE = 0.26, 0.13, 240
WIDE = Tilt.unknown(4.0 * SIDE * PIXEL_UM, 4.0 * SIDE * PIXEL_UM)
HEIGHTS_UM = (-3.0, -1.5, 0.0, 1.5, 3.0, -1.2, -0.6, 0.05, 0.6, 1.2)


def pictures(
    z_um: float, across_um: float, *, right_of: float = 0.0, thick_um: float = 0.1
) -> list[np.ndarray]:
    """Spots on a slide tilted along x, in focus at ``z_um`` in the frame's middle."""
    rng = np.random.default_rng(5)
    places = rng.uniform(6, SIDE - 6, (90, 2))
    places = places[places[:, 1] > right_of * SIDE]
    own_um = rng.uniform(-thick_um / 2, thick_um / 2, len(places))
    lift_um = own_um + across_um * (places[:, 1] / SIDE - 0.5)
    return [_picture(places, height - z_um - lift_um, rng) for height in HEIGHTS_UM]


def _picture(places, away_um, rng):
    y, x = np.mgrid[-9:10, -9:10]
    expected = np.full((SIDE + 20, SIDE + 20), 20.0)
    for (cy, cx), dz in zip(places, away_um, strict=True):
        sigma = 0.75 * np.hypot(1.0, dz / DEPTH_UM)
        iy, ix = int(cy), int(cx)
        square = (y - cy + iy) ** 2 + (x - cx + ix) ** 2
        expected[iy + 1 : iy + 20, ix + 1 : ix + 20] += (
            800.0 / (2 * np.pi * sigma**2) * np.exp(-square / (2 * sigma**2))
        )
    electrons = rng.poisson(expected[10:-10, 10:-10])
    return (CAMERA.offset_adu + electrons / CAMERA.e_per_adu).round().astype(np.uint16)


def plane_of(seen):
    return relief(
        HEIGHTS_UM, [regions_of(p, CAMERA) for p in seen], start_um=0.0, usual=WIDE
    )


@pytest.mark.parametrize("across_um", [-1.0, 0.0, 1.0])
def test_height_and_tilt_of_a_field_are_told_with_their_errors(across_um):
    found = plane_of(pictures(0.2, across_um))
    assert found.z_um == pytest.approx(0.2, abs=0.05)
    assert found.tilt.across_um == pytest.approx([across_um, 0.0], abs=0.15)
    assert abs(found.z_um - 0.2) < 4.0 * found.sd_um < 0.3


def test_spots_on_one_side_do_not_pull_the_focus_there_once_the_tilt_is_known():
    seen = pictures(0.2, 1.0, right_of=0.5)
    whole = [
        Look(z, sharpness_of(p, CAMERA)) for z, p in zip(HEIGHTS_UM, seen, strict=True)
    ]
    known = Tilt(np.array([1.0, 0.0]), np.eye(2) * 0.03**2)
    alone = plane_of(seen)
    found = alone.given(known)
    assert middle(whole, 0.2) - 0.2 > 0.15  # what a fit of the whole picture makes
    assert found.z_um == pytest.approx(0.2, abs=0.05)
    assert found.sd_um < alone.sd_um


def test_a_thick_section_is_no_plane():
    assert plane_of(pictures(0.0, 0.0, thick_um=4.0)) is None


def test_regions_without_spots_tell_nothing():
    assert plane_of(pictures(0.0, 0.0, right_of=0.97)) is None


def test_the_regions_together_are_as_sharp_as_the_picture():
    one = pictures(0.0, 0.0)[2]
    parts, whole = regions_of(one, CAMERA).whole, sharpness_of(one, CAMERA)
    assert parts.value == pytest.approx(whole.value, rel=1e-6)
    assert parts.noise == pytest.approx(whole.noise, rel=0.1)


def test_small_frames_have_fewer_regions():
    assert [side_of(s) for s in ((20, 64), (64, 64), (512, 512))] == [1, 2, 8]


# --- the ground


def snake(side: int, step_um: float = 33.0):
    for row in range(side):
        columns = range(side) if row % 2 == 0 else reversed(range(side))
        for column in columns:
            yield Point(column * step_um, row * step_um, 0.0)


def test_tilt_and_drift_are_followed_and_one_fields_chance_is_not():
    rng = np.random.default_rng(2)
    ground, off, sds = Ground(), [], []
    for n, place in enumerate(snake(8)):
        time_s = 100.0 + 7.0 * n
        truth_um = 3.0 + 0.03 * place.x_um - 0.01 * place.y_um + 0.006 * time_s
        seen = Guess(truth_um + rng.normal(0.0, 0.1), 0.1)
        assert ground.agrees(place, time_s, seen)
        now = ground.learn(place, time_s, seen)
        off.append(now.z_um - truth_um)
        sds.append(now.sd_um)
    assert np.std(off[20:]) < 0.07  # the pictures alone: 0.1
    assert ground.drift.z_um == pytest.approx(0.006, abs=3.0 * ground.drift.sd_um)
    assert ground.drift.sd_um < 0.005
    assert 0.5 < np.sqrt(np.mean(np.square(np.array(off) / sds))) < 1.5


def test_the_next_field_is_told_before_it_is_measured():
    ground = Ground()
    for n, place in enumerate(list(snake(4))[:12]):
        ground.learn(place, float(n), Guess(0.03 * place.x_um, 0.01))
    guess = ground.guess(Point(99.0, 99.0, 0.0), 12.0)
    assert guess.z_um == pytest.approx(2.97, abs=0.05)
    assert guess.sd_um < 0.1


def test_a_height_far_from_what_is_expected_is_doubted_once_and_then_believed():
    ground = Ground()
    for n, place in enumerate(snake(3)):
        ground.learn(place, float(n), Guess(0.0, 0.02))
    there, jumped = Point(0.0, 99.0, 0.0), Guess(5.0, 0.02)
    assert not ground.agrees(there, 9.0, jumped)
    ground.doubt()
    assert ground.agrees(there, 9.0, jumped)
    assert ground.learn(there, 9.0, jumped).z_um == pytest.approx(5.0, abs=0.05)


def test_after_a_long_pause_the_height_is_known_about():
    ground = Ground()
    for n, place in enumerate(snake(3)):
        ground.learn(place, float(n), Guess(0.0, 0.02))
    place = Point(0.0, 99.0, 0.0)
    assert ground.guess(place, 9.0).sd_um < 0.9
    assert ground.guess(place, 60.0).sd_um > 1.0


def test_what_drifts_while_it_is_searched_for_is_found_where_it_is_at_the_end():
    at = [_Picture(z, float(n), np.zeros((1, 1))) for n, z in enumerate((0.0, 1.0))]
    seen = _at_the_end(at, Guess(0.02, 0.01))
    assert [one.z_um for one in seen] == pytest.approx([0.02, 1.0])
    unsure = _at_the_end(at, Guess(0.02, 0.5))
    assert [one.z_um for one in unsure] == [0.0, 1.0]
