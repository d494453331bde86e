"""A block: about a second of frames, and the unit of disk, bus and table.

Knows names and lengths; knows neither files nor sockets.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen

BLOCK_LENGTHS = (250, 125, 100, 50, 40, 25, 20, 10, 8, 5, 4, 2, 1)
MAX_BLOCK_S = 1.0
MAX_BLOCK_BYTES = 64 * 2**20
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


def block_length(*, frames: int, height: int, width: int, exposure_ms: float) -> int:
    """Return the frames per block: it divides the burst, under 1 s and 64 MiB.

    The exposure that counts is the one on the wall clock. One frame is always
    allowed, however large or long it is.
    """
    frame_bytes = 2 * height * width
    for length in BLOCK_LENGTHS:
        fits = (
            frames % length == 0
            and length * exposure_ms <= 1000.0 * MAX_BLOCK_S
            and length * frame_bytes <= MAX_BLOCK_BYTES
        )
        if fits:
            return length
    return 1


class UnitKey(Frozen):
    """Names one burst: a field, a channel, an attempt of a run."""

    run: str = Field(pattern=NAME)
    field: str = Field(pattern=r"^r\d{2,3}_c\d{2,3}$", description="tile, r00_c00")
    channel: str = Field(pattern=NAME, description="as in the protocol, e.g. 561")
    attempt: int = Field(default=1, ge=1, le=99)


class BlockKey(UnitKey):
    """Names one block wherever it is: chunk on disk, message, table part."""

    block: int = Field(ge=0, description="number in the burst; the chunk index")


class BlockHeader(Frozen):
    """Says what the frames of one block are, wherever their pixels are."""

    version: Literal[1] = 1
    key: BlockKey
    first_frame: int = Field(ge=0, description="index in the burst, from 0")
    frames: int = Field(gt=0)
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    t_s: tuple[float, ...] = Field(
        description="exposure starts, camera clock, seconds since the burst began"
    )

    @model_validator(mode="after")
    def _one_time_per_frame(self) -> Self:
        if len(self.t_s) != self.frames:
            raise ValueError("t_s must hold one time for each frame")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height, width."""
        return (self.frames, self.height, self.width)
