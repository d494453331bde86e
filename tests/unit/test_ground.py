"""The steady ground of a burst: what it keeps, and what it is good for."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from her2sr_proc.errors import RequestError
from her2sr_proc.ground import SteadyGround, ground_of, with_ground
from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from simulators.smlm.movie import add_spots, expose

SHAPE, FRAMES, SIGMA = (64, 64), 200, 0.66
MODEL = CameraModel(pixel_nm=130, offset_adu=100, e_per_adu=0.46, read_noise_e=1.6)
CAMERA = CameraMaps.uniform(MODEL, SHAPE)
RNG = np.random.default_rng(8)
TEXTURE = gaussian_filter(RNG.normal(size=SHAPE), 6.0)
GROUND = 300.0 + 45.0 * TEXTURE / TEXTURE.std()
HOT = (40, 12)


def movie(blinks, steady=()):
    """Frames on the ground with a hot pixel; blinks are y, x, photons, first, last."""
    frames = []
    for frame in range(FRAMES):
        mean = GROUND.copy()
        mean[HOT] += 500.0
        lit = [b for b in blinks if b[3] <= frame <= b[4]] + list(steady)
        if lit:
            y, x, light = (np.array([b[n] for b in lit], float) for n in range(3))
            add_spots(mean, x, y, light, SIGMA)
        frames.append(expose(mean, MODEL, RNG))
    return np.array(frames)


def steady_of(adu):
    return ground_of([(0, adu)], CAMERA, frames=FRAMES, sigma_px=SIGMA)


def test_the_ground_is_found_beneath_blinks():
    blinks = [(20, 20, 600, n, n + 3) for n in range(0, FRAMES, 10)]
    apart = steady_of(movie(blinks)) - GROUND
    apart[HOT] = 0.0
    assert abs(apart.mean()) < 1.0
    assert apart.std() < 4.0
    assert abs(apart[20, 20]) < 15.0


def test_a_hot_pixel_belongs_to_the_ground():
    ground = steady_of(movie([]))
    assert ground[HOT] == pytest.approx(GROUND[HOT] + 500.0, abs=15.0)


def test_a_dye_that_is_always_lit_does_not():
    ground = steady_of(movie([], steady=[(30, 30, 600)]))
    assert abs(ground[30, 30] - GROUND[30, 30]) < 25.0


def found_with(camera, adu):
    localizer = Localizer(camera, pixel_nm=130.0, params=LocalizeParams(sigma_px=SIGMA))
    table = localizer.block(adu, first_frame=0)
    gap = np.hypot(table["x_nm"] / 130 - 32, table["y_nm"] / 130 - 32)
    return int((gap < 1.5).sum()), table["photons"][gap < 1.5], int((gap >= 1.5).sum())


def test_dim_blinks_are_found_more_often_on_the_known_ground():
    adu = movie([(32, 32, 400, n, n) for n in range(0, FRAMES, 4)])
    plain, _, _ = found_with(CAMERA, adu)
    known, photons, off = found_with(with_ground(CAMERA, steady_of(adu)), adu)
    assert known >= 40
    assert known > plain
    assert photons.mean() == pytest.approx(400, rel=0.1)
    assert off < 0.1 * FRAMES


def test_the_ground_does_not_depend_on_how_blocks_are_cut():
    adu = movie([])
    parts = [(n, adu[n : n + 50]) for n in range(0, FRAMES, 50)]
    whole = steady_of(adu)
    cut = ground_of(parts, CAMERA, frames=FRAMES, sigma_px=SIGMA)
    assert np.array_equal(whole, cut)


def test_frames_of_another_size_are_refused():
    steady = SteadyGround(CAMERA, frames=10, sigma_px=SIGMA)
    with pytest.raises(RequestError, match="frames are"):
        steady.add(np.zeros((1, 8, 8), np.uint16), first_frame=0)
    with pytest.raises(RequestError, match="no frame"):
        steady.image()
    with pytest.raises(RequestError, match="the ground is"):
        with_ground(CAMERA, np.zeros((8, 8), np.float32))
