"""Camera maps as files: an .npz of three arrays, one value a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.store.pixels import BROKEN

ARRAYS = ("offset_adu", "e_per_adu", "variance_e2")
"""Counts in the dark; photo-electrons a count and read-noise variance (electrons
squared) before electron multiplication is divided out."""


def read_camera_maps(
    path: Path, camera: CameraModel, shape: tuple[int, int]
) -> CameraMaps:
    """Return the maps of a camera for frames of ``shape``.

    Parameters
    ----------
    path : Path
        An .npz with `ARRAYS`, each of shape (height, width).
    camera : CameraModel
        Its gain of electron multiplication and its ceiling; the rest is in the maps.
    shape : tuple of int
        Height and width of the movie.
    """
    if not path.is_file():
        raise RequestError(f"there are no camera maps {path}; check the path")
    maps = {name: _one(path, name, shape) for name in ARRAYS}
    if not (maps["e_per_adu"] > 0).all() or not (maps["variance_e2"] >= 0).all():
        raise DataError(
            f"{path} holds a gain not above 0 or a variance below 0; measure it again"
        )
    return CameraMaps(
        offset_adu=maps["offset_adu"],
        e_per_adu=maps["e_per_adu"] / np.float32(camera.em_gain),
        variance_e2=maps["variance_e2"] / np.float32(camera.em_gain**2),
        excess_noise=2.0 if camera.is_emccd else 1.0,
        saturation_adu=camera.saturation_adu,
    )


def _one(path: Path, name: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    array = _read(path, name)
    if array.shape != shape or array.dtype.kind not in "iuf":
        raise DataError(
            f"'{name}' of {path} must hold {shape[0]} x {shape[1]} real numbers like "
            f"the movie's frames; it holds {array.dtype.name} of shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, np.float32)
    unknown = np.argwhere(~np.isfinite(single))
    if len(unknown):
        row, column = unknown[0]
        raise DataError(
            f"'{name}' of {path} has no finite value at {len(unknown)} pixels, the "
            f"first in row {row}, column {column}; give them those of a neighbour"
        )
    return single


def _read(path: Path, name: str) -> npt.NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[name])
    except (*BROKEN, TypeError) as exc:
        raise DataError(
            f"{path} must be an .npz with {', '.join(ARRAYS)}; '{name}' cannot be read"
        ) from exc
