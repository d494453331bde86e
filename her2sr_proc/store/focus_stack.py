"""Stacks through the focus as TIFF: pictures plane by plane, with their heights."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from her2sr_proc.errors import DataError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.atomic import replacing

U16 = npt.NDArray[np.uint16]
TORN = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    MemoryError,
    RuntimeError,
    TypeError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)
"""What reading a file ends with that was cut anywhere."""


def write_focus_stack(
    path: Path, pictures: U16, *, z_um: Sequence[float], pixel_nm: float
) -> tuple[int, str]:
    """Write a stack whole; return the size of its file and the SHA-256.

    Parameters
    ----------
    pictures : uint16 array, shape (planes * frames, height, width)
        Camera counts, all frames of a plane together, from low to high.
    z_um : sequence of float
        Of the drive at each plane, as read back.
    """
    said = {"z_um": list(z_um), "pixel_nm": pixel_nm, "banner": BANNER}
    with replacing(path) as beside:
        tifffile.imwrite(
            beside,
            pictures,
            photometric="minisblack",
            compression="zlib",
            description=json.dumps(said),
            metadata=None,
        )
        data = beside.read_bytes()
    return len(data), hashlib.sha256(data).hexdigest()


def read_focus_stack(path: Path) -> tuple[U16, list[float]]:
    """Return the pictures of a stack and the height of each plane.

    Raises `DataError` when the file is no stack of this program.
    """
    try:
        with tifffile.TiffFile(path) as file:
            said: dict[str, Any] = json.loads(file.pages[0].description)
            pictures = np.asarray(file.asarray(), np.uint16)
            z_um = [float(z) for z in said["z_um"]]
            pictures = pictures.reshape(-1, *pictures.shape[-2:])  # of a single one
            if not z_um or not np.isfinite(z_um).all() or len(pictures) % len(z_um):
                raise ValueError(f"{len(pictures)} pictures at {len(z_um)} heights")
    except TORN as exc:
        raise DataError(f"{path.name} is no stack through the focus: {exc}") from exc
    return pictures, z_um
