"""Frames gathered into blocks, in memory that was touched once before the burst.

Knows neither files nor sockets. A buffer is lent to a block and comes back to the pool
when the block is on disk, so that a slow disk is felt here and nowhere else.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from her2sr_acq.devices.ports import Frame
from her2sr_acq.errors import DeviceError, StorageError
from her2sr_proc.schema.block import BlockHeader, BlockKey, UnitKey

U16 = npt.NDArray[np.uint16]
SLICE_S = 0.1
"""A wait for the disk is cut into slices, so that others hear that it is a wait."""


@dataclass(slots=True)
class Block:
    """Frames of one burst that belong together, in a buffer of the pool."""

    number: int
    first_frame: int
    adu: U16
    """Shape (frames, height, width); a view of the lent buffer."""
    buffer: U16
    t_s: list[float] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether every frame is there."""
        return len(self.t_s) == len(self.adu)

    def header(self, unit: UnitKey) -> BlockHeader:
        """Return the name and times of a full block."""
        frames, height, width = self.adu.shape
        return BlockHeader(
            key=BlockKey(**unit.model_dump(), block=self.number),
            first_frame=self.first_frame,
            frames=frames,
            height=height,
            width=width,
            t_s=tuple(self.t_s),
        )


class BlockPool:
    """A fixed number of buffers; none is made after the start."""

    def __init__(self, *, buffers: int, pixels: int) -> None:
        self.buffers = buffers
        self._free: queue.Queue[U16] = queue.Queue(maxsize=buffers)
        for _ in range(buffers):
            buffer = np.empty(pixels, np.uint16)
            buffer.fill(0)  # touches every page now, not in the middle of a burst
            self._free.put_nowait(buffer)

    def take(
        self, *, timeout_s: float, still: Callable[[], None] = lambda: None
    ) -> U16:
        """Lend a buffer. Raises `StorageError` when the disk gives none back in time.

        The camera's own ring holds the frames that arrive while this waits.
        """
        slices = max(1, round(timeout_s / SLICE_S))
        for _ in range(slices):
            still()
            with suppress(queue.Empty):
                return self._free.get(timeout=timeout_s / slices)
        raise StorageError(
            f"the disk is too slow: {self.buffers} blocks wait to be written and "
            f"none was finished in {timeout_s:g} s; use a faster disk, a smaller "
            f"frame or a longer exposure"
        )

    def give_back(self, buffer: U16) -> None:
        """Return a lent buffer."""
        self._free.put_nowait(buffer)


class Assembler:
    """Copies the frames of one burst into blocks and hands on every full one."""

    def __init__(
        self,
        pool: BlockPool,
        shape: tuple[int, int, int],
        hand_on: Callable[[Block], None],
        *,
        timeout_s: float,
        still: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare for blocks of ``shape`` (frames, height, width).

        ``still`` is called while a buffer is waited for, and may raise to end that.
        """
        self._pool = pool
        self._shape = shape
        self._hand_on = hand_on
        self._timeout_s = timeout_s
        self._still = still
        self._next = 0
        self._block: Block | None = None

    def add(self, frame: Frame) -> bool:
        """Take the next frame; return whether it completed a block.

        Raises `DeviceError` for a frame of another size, `StorageError` when the disk
        does not keep up.
        """
        if frame.adu.shape != self._shape[1:]:
            raise DeviceError(
                f"the camera delivered a frame of {frame.adu.shape} pixels instead of "
                f"{self._shape[1:]}; check its region of interest and binning"
            )
        block = self._block or self._open()
        block.adu[len(block.t_s)] = frame.adu
        block.t_s.append(frame.t_s)
        self._next += 1
        if not block.is_full:
            return False
        self._block = None
        self._hand_on(block)
        return True

    def discard(self) -> None:
        """Give back the buffer of a block that will not be completed."""
        if self._block is not None:
            self._pool.give_back(self._block.buffer)
            self._block = None

    def rewind(self) -> None:
        """Begin at frame 0 again, after a burst of which no block was handed on."""
        self.discard()
        self._next = 0

    def _open(self) -> Block:
        buffer = self._pool.take(timeout_s=self._timeout_s, still=self._still)
        frames = self._shape[0]
        view = buffer[: int(np.prod(self._shape))].reshape(self._shape)
        self._block = Block(self._next // frames, self._next, view, buffer)
        return self._block
