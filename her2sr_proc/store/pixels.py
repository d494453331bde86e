"""What may pass as camera counts: one test for movies of every form."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import MovieError

U16 = npt.NDArray[np.uint16]
COUNTS = np.dtype(np.uint16)
VALUES = np.dtype(np.float32)
LARGEST_FRAME_PX = 1 << 28
"""Of a frame: what claims more is damaged, and would take all memory."""

BROKEN = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    SyntaxError,
    RuntimeError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and Python's archives raise for a damaged file."""


def check_dtype(
    path: Path, dtype: np.dtype[Any], *, floats: bool = False
) -> np.dtype[Any]:
    """Return the dtype that pixels of ``dtype`` are read as: uint16, without loss.

    With ``floats``, float32 of either byte order is read as float32.

    Raises `MovieError` for any other.
    """
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return COUNTS
    if floats and dtype.kind == "f" and dtype.itemsize == VALUES.itemsize:
        return VALUES
    cure = (
        "processed or scaled pixels are no camera counts; export the raw movie"
        if dtype.kind == "f" and not floats
        else "export the movie as unsigned 16-bit"
    )
    wanted = "counts or 32-bit floats" if floats else "counts"
    raise MovieError(
        f"{path} holds {dtype.name} pixels, not unsigned 8 or 16-bit {wanted}: {cure}",
        path=str(path),
        dtype=dtype.name,
    )


def check_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return frames, height, width of an array; axes of length 1 may be left out.

    Raises `MovieError` when it has other axes, or no frames.
    """
    if 0 in shape:
        raise MovieError(
            f"{path} holds no frames (its shape is {shape}); check the export",
            path=str(path),
        )
    if math.prod(shape[-2:]) > LARGEST_FRAME_PX:
        raise MovieError(
            f"{path} claims frames of {shape[-2:]} pixels, more than any camera has; "
            f"its header is damaged: export it again",
            path=str(path),
        )
    stack, plane = shape[:-2], shape[-2:]
    lengths = [length for length in stack if length > 1]
    if len(plane) < 2 or len(lengths) > 1:
        raise MovieError(
            f"{path} has shape {shape}; one movie of (frames, height, width) is "
            f"wanted: export one channel and one position",
            path=str(path),
        )
    return (lengths[0] if lengths else 1, plane[0], plane[1])


def check_range(start: int, stop: int, frames: int) -> None:
    """Raise ValueError unless the range is within the movie: a caller's mistake."""
    if not 0 <= start < stop <= frames:
        raise ValueError(f"frames {start}:{stop} of a movie of {frames}")


def as_counts(frames: npt.NDArray[Any]) -> U16:
    """Return native, contiguous uint16; the dtype has been checked before."""
    return np.ascontiguousarray(frames, dtype=np.uint16)
