"""How the focus is searched for: sharpness, surface, lock; numbers and fakes alone."""

import numpy as np
import pytest

from her2sr_acq.engine.relock import Relock, offsets_um
from her2sr_acq.engine.sharpness import (
    FAR,
    Look,
    Sharpness,
    about,
    middle,
    require_contrast,
    sharpness_of,
)
from her2sr_acq.engine.surface import Point, Surface, rank
from her2sr_acq.errors import DeviceError, FocusError
from her2sr_proc.schema.camera import CameraModel

CAMERA = CameraModel()
DEPTH_UM = 0.26


def picture(dz_um: float, *, light: float = 1.0, spots: int = 30) -> np.ndarray:
    """Spots of one brightness on flat ground, out of focus by a distance."""
    rng = np.random.default_rng(5)
    sigma = 0.75 * np.hypot(1.0, dz_um / DEPTH_UM)
    y, x = np.mgrid[0:96, 0:96]
    expected = np.full(y.shape, 20.0)
    for cy, cx in rng.uniform(5, 91, (spots, 2)):
        disk = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * sigma**2))
        expected += 800.0 / (2 * np.pi * sigma**2) * disk
    noisy = rng.poisson(light * expected) + rng.normal(
        0.0, CAMERA.read_noise_e, y.shape
    )
    return (CAMERA.offset_adu + noisy / CAMERA.e_per_adu).round().astype(np.uint16)


def looks(heights_um, truth_um: float, **how) -> list[Look]:
    return [
        Look(z, sharpness_of(picture(z - truth_um, **how), CAMERA)) for z in heights_um
    ]


# --- sharpness


def test_a_picture_is_the_duller_the_further_it_is_out_of_focus():
    values = [sharpness_of(picture(dz), CAMERA).value for dz in (0.0, 0.3, 0.8, 2.0)]
    assert values == sorted(values, reverse=True)


def test_sharpness_is_that_of_the_specimen_and_not_of_the_light():
    bright, dim = (sharpness_of(picture(0.2, light=n), CAMERA) for n in (1.0, 0.5))
    assert dim.value == pytest.approx(bright.value, rel=0.1)


def test_a_dark_picture_is_no_picture_to_focus_by():
    dark = np.full((64, 64), 100, np.uint16)
    with pytest.raises(FocusError, match=r"is dark \(0.0 photo-electrons a pixel\)"):
        sharpness_of(dark, CAMERA)


def test_a_field_without_spots_has_no_focus():
    empty = looks(np.linspace(-3, 3, 5), 0.0, spots=0)
    with pytest.raises(FocusError, match="no picture is sharper than another"):
        require_contrast(empty)


@pytest.mark.parametrize("truth_um", [-1.2, -0.55, 0.0, 0.3, 0.9])
def test_coarse_and_fine_pictures_find_the_plane_to_a_tenth_of_a_micrometre(truth_um):
    coarse = (-3.0, -1.5, 0.0, 1.5, 3.0)
    far = [Look(z, sharpness_of(picture(z - truth_um), CAMERA, FAR)) for z in coarse]
    require_contrast(far)
    start = about(far)
    found = looks([*coarse, *(start + 0.6 * n for n in (-2, -1, 0, 1, 2))], truth_um)
    assert middle(found, start) == pytest.approx(truth_um, abs=0.06)


def test_a_focus_beyond_the_pictures_is_said_to_be_there():
    with pytest.raises(FocusError, match=r"outermost one, \+3.00 um away"):
        about(looks((-3.0, -1.5, 0.0, 1.5, 3.0), 3.4))


def test_of_a_thick_section_the_middle_is_found_by_its_flanks():
    half_um, truth_um = 1.5, 0.4

    def seen(z: float) -> float:
        upper = np.arctan((z - truth_um + half_um) / 0.3)
        return upper - np.arctan((z - truth_um - half_um) / 0.3)

    heights = (-3.0, -1.5, 0.0, 1.5, 3.0, -1.0, -0.4, 0.2, 0.8, 1.4)
    found = [Look(z, Sharpness(seen(z), 0.01)) for z in heights]
    assert middle(found, about(found)) == pytest.approx(truth_um, abs=0.02)


def test_pictures_of_noise_alone_are_refused_and_not_fitted():
    noise = [Look(z, Sharpness(v, 1.0)) for z, v in ((-1, -9.0), (0, 1.0), (1, -8.0))]
    assert -1.0 <= middle(noise, 5.0) <= 1.0
    dull = [Look(look.z_um, Sharpness(-1.0, 1.0)) for look in noise]
    with pytest.raises(FocusError, match="no picture shows spots"):
        middle(dull, 0.0)


# --- surface


def tilted(n: int, *, bend: float = 0.0, noise_um: float = 0.02) -> list[Point]:
    rng = np.random.default_rng(3)
    places = rng.uniform(-300, 300, (n, 2))
    return [
        Point(
            x, y, 2.0 + 0.004 * x - 0.002 * y + bend * x * x + rng.normal(0, noise_um)
        )
        for x, y in places
    ]


def test_a_plane_tells_of_places_that_were_not_measured():
    surface = Surface(tilted(12))
    assert surface.kind == "plane"
    assert surface.z_um(250.0, -100.0) == pytest.approx(3.2, abs=0.05)
    assert surface.slope_mrad == pytest.approx(4.47, abs=0.2)


def test_a_point_that_was_measured_wrongly_is_left_out():
    points = tilted(12)
    points[4] = Point(points[4].x_um, points[4].y_um, points[4].z_um + 5.0)
    surface = Surface(points)
    assert (surface.kind, surface.outliers) == ("plane", 1)
    assert surface.z_um(0.0, 0.0) == pytest.approx(2.0, abs=0.05)


def test_a_bent_slide_is_followed_by_a_spline():
    surface = Surface(tilted(30, bend=2e-5))
    assert surface.kind == "spline"
    assert surface.z_um(100.0, 0.0) == pytest.approx(2.6, abs=0.15)


def test_a_bent_slide_of_few_points_is_refused():
    with pytest.raises(FocusError, match="do not lie on a plane"):
        Surface(tilted(7, bend=1e-4))


def test_heights_that_make_no_surface_are_refused():
    with pytest.raises(FocusError, match="make no smooth surface"):
        Surface(tilted(20, noise_um=2.0))


def test_a_slide_that_is_not_seated_is_refused():
    steep = [Point(x, 0.0, 0.08 * x) for x in range(0, 100, 10)]
    with pytest.raises(FocusError, match="tilted by 80 mrad"):
        Surface(steep)


def test_points_on_a_line_tell_of_that_line_alone():
    line = [Point(x, 5.0, 0.01 * x) for x in (0.0, 50.0, 100.0)]
    assert Surface(line).z_um(150.0, 5.0) == pytest.approx(1.5)
    assert (rank(line[:1]), rank(line), rank([*line, Point(0.0, 60.0, 0.0)])) == (
        0,
        1,
        2,
    )


# --- the search with a lock


class FakeDrive:
    def __init__(self, z_um: float) -> None:
        self.z_um, self.steps = z_um, []
        self.fails_at: int | None = None

    def move_by(self, *, dz_um: float) -> None:
        if self.fails_at == len(self.steps):
            raise DeviceError("the drive does not move")
        self.steps.append(dz_um)
        self.z_um += dz_um

    def position_um(self) -> float:
        return self.z_um


class FakeLock:
    """Catches a plane that is nearer than its range, and goes there."""

    def __init__(self, drive: FakeDrive, plane_um: float, range_um: float = 5.0):
        self.drive, self.plane_um, self.range_um = drive, plane_um, range_um
        self.released = 0

    def engage(self) -> None:
        if abs(self.drive.z_um - self.plane_um) > self.range_um:
            raise FocusError("did not lock")
        self.drive.z_um = self.plane_um

    def release(self) -> None:
        self.released += 1


def relock(drive, lock, *, limits=(-100.0, 100.0), reach_um=30.0) -> Relock:
    return Relock(lock, drive, step_um=10.0, reach_um=reach_um, limits_um=limits)


def test_the_search_goes_away_from_the_sample_first_and_ever_further():
    assert list(offsets_um(10.0, 30.0)) == [0.0, -10.0, 10.0, -20.0, 20.0, -30.0, 30.0]
    assert list(offsets_um(10.0, 9.0)) == [0.0]


@pytest.mark.parametrize("plane_um", [0.0, 4.0, -12.0, 18.0, 33.0, -34.0])
def test_a_plane_within_reach_is_found_by_steps(plane_um):
    drive = FakeDrive(0.0)
    relock(drive, FakeLock(drive, plane_um)).search(lambda: None)
    assert drive.z_um == plane_um


def test_where_it_locks_nowhere_the_own_steps_are_undone_and_no_more():
    drive = FakeDrive(3.0)
    with pytest.raises(FocusError, match="found nothing at 7 places within 30 um"):
        relock(drive, FakeLock(drive, 80.0)).search(lambda: None)
    assert drive.z_um == pytest.approx(3.0)
    assert sum(drive.steps) == pytest.approx(0.0)


def test_no_step_of_the_search_leaves_the_limits():
    drive = FakeDrive(15.0)
    with pytest.raises(FocusError, match="at 4 places"):
        relock(drive, FakeLock(drive, 80.0), limits=(-20.0, 20.0)).search(lambda: None)
    heights = 15.0 + np.cumsum(drive.steps)
    assert heights.min() >= -20.0
    assert heights.max() <= 20.0


def test_a_lock_that_goes_beyond_the_limits_is_let_go():
    drive = FakeDrive(18.0)
    lock = FakeLock(drive, 21.0)
    with pytest.raises(FocusError, match=r"went to z = 21.00 um, outside the limits"):
        relock(drive, lock, limits=(-20.0, 20.0), reach_um=1.0).search(lambda: None)
    assert lock.released == 1


def test_a_drive_that_fails_in_the_search_is_left_where_it_is():
    drive = FakeDrive(0.0)
    drive.fails_at = 1
    with pytest.raises(FocusError, match="left where it is"):
        relock(drive, FakeLock(drive, 80.0)).search(lambda: None)
    assert drive.steps == [-10.0]
