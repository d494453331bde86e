"""Compiles every kernel by using it once, so that the first frame does not wait."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from her2sr_proc.background import RollingBall
from her2sr_proc.drift import by_intersections
from her2sr_proc.fluctuation import Fluctuations
from her2sr_proc.localizer import localize_block
from her2sr_proc.rendering import render
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.count_params import SpotParams
from her2sr_proc.schema.params import PAPER_LOCALIZE, LocalizeParams, RenderParams
from her2sr_proc.spots import Optics, TwoScales, find_spots

SIDE = 32
STEPS = 4


def warm(tell: Callable[[int, str], None] = lambda *_: None) -> None:
    """Return once the whole way from frame to image has run on a frame with a spot.

    ``tell`` hears the number of the step that comes next, up to `STEPS`, and its name.
    """
    adu = _frames()
    camera = CameraModel()
    maps = CameraMaps.uniform(camera, (SIDE, SIDE))
    profiles = (("the paper's fits", PAPER_LOCALIZE), ("fits", LocalizeParams()))
    for step, (name, params) in enumerate(profiles, 1):
        tell(step, name)
        table = localize_block(
            adu,
            first_frame=0,
            camera=maps,
            pixel_nm=camera.pixel_nm,
            params=params,
        )
    tell(3, "pictures")
    for method in ("gaussian", "histogram"):
        render(
            table,
            height_px=SIDE,
            width_px=SIDE,
            pixel_nm=camera.pixel_nm,
            params=RenderParams(method=method),
        )
    tell(4, "fluctuations and spots")
    switching = Fluctuations(maps, smooth_px=1.0)
    switching.add(adu, first_frame=0)
    image = adu[0].astype(np.float64)
    scales = TwoScales(image, image, 1.0, 2.0, Optics(power=2, blob_px=0.7))
    find_spots(scales, SpotParams())
    places = np.zeros((2, 2))
    by_intersections([places, places + 20.0])


def warm_cleaning() -> None:
    """Return once the paper's cleaning has run, on counts and on values."""
    ball = RollingBall((SIDE, SIDE), radius_px=15)
    ball.block(_frames())
    ball.block(_frames().astype(np.float32))


def _frames() -> npt.NDArray[np.uint16]:
    """Return frames with a lone spot, two that overlap, and one out of focus.

    In the last they stand on no ground at all, where no fit settles side by side.
    """
    i, j = np.indices((SIDE, SIDE))
    light = np.zeros((SIDE, SIDE))
    spots = (
        (6, 6, 0.68, 9e2),
        (22, 6, 0.68, 9e2),
        (24, 6, 0.68, 9e2),
        (12, 22, 2, 9e2),
    )
    for x, y, sigma, peak in spots:
        light += peak * np.exp(-((j - x) ** 2 + (i - y) ** 2) / (2.0 * sigma**2))
    noisy = np.random.default_rng(0).poisson(300.0 + light, (2, SIDE, SIDE))
    bare = np.rint(CameraModel().offset_adu + light)
    return np.concatenate([noisy, bare[None]]).astype(np.uint16)
