"""Compiles every kernel by using it once, so that the first frame does not wait."""

from __future__ import annotations

import numpy as np

from her2sr_proc.localizer import localize_block
from her2sr_proc.rendering import render
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams, RenderParams

SIDE = 24


def warm() -> None:
    """Return once the whole way from frame to image has run on a frame with a spot."""
    adu = np.random.default_rng(0).poisson(300.0, (2, SIDE, SIDE)).astype(np.uint16)
    adu[:, 10:13, 10:13] += 2000
    camera = CameraModel()
    table = localize_block(
        adu,
        first_frame=0,
        camera=CameraMaps.uniform(camera, (SIDE, SIDE)),
        pixel_nm=camera.pixel_nm,
        params=LocalizeParams(),
    )
    for method in ("gaussian", "histogram"):
        render(
            table,
            height_px=SIDE,
            width_px=SIDE,
            pixel_nm=camera.pixel_nm,
            params=RenderParams(method=method),
        )
