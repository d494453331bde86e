"""Blocks as messages: ``[header as JSON, pixels]``. Knows no sockets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import WireError
from her2sr_proc.schema.block import BlockHeader

U16 = npt.NDArray[np.uint16]
PIXEL = np.dtype("<u2")


def encode(header: BlockHeader, adu: U16) -> list[bytes | memoryview]:
    """Return the message parts. The pixels are not copied: send before reuse.

    Raises `WireError` when ``adu`` is not uint16 of the shape the header names.
    """
    if adu.shape != header.shape or adu.dtype != PIXEL:
        raise WireError(
            f"pixels are {adu.dtype} {adu.shape}, the header says uint16 {header.shape}"
        )
    pixels = np.ascontiguousarray(adu, dtype=PIXEL)
    return [header.model_dump_json().encode(), pixels.data.cast("B")]


def decode(parts: Sequence[bytes | memoryview]) -> tuple[BlockHeader, U16]:
    """Return header and pixels; the array is a read-only view of the message."""
    try:
        head, pixels = parts
        header = BlockHeader.model_validate_json(bytes(head))
        adu = np.frombuffer(pixels, PIXEL).reshape(header.shape)
    except ValueError as exc:  # also pydantic's ValidationError
        raise WireError(f"malformed block message: {exc}") from exc
    return header, adu
