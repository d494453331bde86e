"""The paper's cleaning of frames: a rolling ball, then a threshold.

Frames in, cleaned frames out, each treated alone, so that a result does not depend on
the block's length. Knows arrays and parameters; neither files nor threads.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import RequestError
from her2sr_proc.kernels import rolling_ball
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.threshold import CleaningParams, Mode
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.threshold import Left, Threshold, apply, require_finite

Frames = npt.NDArray[Any]


class RollingBall:
    """Subtract Background of ImageJ, for frames of one size.

    Planes are made once and lent to whoever works, so its methods may be called by
    several threads at once.
    """

    def __init__(
        self, shape: tuple[int, int], *, radius_px: float, is_smoothed: bool = True
    ) -> None:
        """Make the ball. Raises `RequestError` for one that does not fit a frame."""
        if not (math.isfinite(radius_px) and radius_px > 0):
            raise RequestError(
                f"a ball of radius {radius_px:g} px rolls nowhere; choose one that is "
                f"larger than the largest spot, such as 15"
            )
        if radius_px > min(shape):
            raise RequestError(
                f"a ball of radius {radius_px:g} px is larger than frames of "
                f"{shape[0]} x {shape[1]} px; choose a radius up to {min(shape)}"
            )
        self._shape = shape
        self._ball = rolling_ball.new_ball(radius_px)
        self._is_smoothed = is_smoothed
        self._idle: deque[rolling_ball.Room] = deque()

    @property
    def shrink(self) -> int:
        """Return by how much frames are shrunk before the ball rolls."""
        return self._ball.shrink

    def block(self, frames: Frames, *, first_frame: int = 0) -> Frames:
        """Return frames without their background.

        Parameters
        ----------
        frames : uint16 or float32 array, shape (frames, height, width)
            Camera counts, which come back rounded and clipped to 0..65535; or finite
            values, which come back as they are and may be negative.
        first_frame : int
            Index in the burst of ``frames[0]``, for messages alone.

        Returns
        -------
        array
            As ``frames``; new. Its baseline is 0, whatever the camera's offset.

        Raises
        ------
        DataError
            When a value is not finite.
        RequestError
            For numbers of another kind, in which a difference would wrap around.
        """
        if frames.dtype not in (np.uint16, np.float32):
            raise RequestError(
                f"the ball rolls under uint16 or float32, not {frames.dtype.name}; "
                f"convert the frames"
            )
        room = self._room()
        out = np.empty_like(frames)
        is_counts = frames.dtype == np.uint16
        roll = (
            rolling_ball.subtract_counts if is_counts else rolling_ball.subtract_values
        )
        for number, frame in enumerate(_read_only(frames)):
            require_finite(frame, first_frame + number)
            roll(frame, self._ball, self._is_smoothed, room, out[number])
        self._idle.append(room)
        return out

    def _room(self) -> rolling_ball.Room:
        try:
            return self._idle.pop()
        except IndexError:
            return rolling_ball.new_room(*self._shape, self._ball)


class Cleaning:
    """The paper's way from a frame to what ThunderSTORM was given; for one movie.

    May be used by several threads at once.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        params: CleaningParams,
        *,
        channel: str | None,
        watch: Stopwatch | None = None,
    ) -> None:
        """Take parameters; the channel chooses among a threshold's own.

        ``watch`` is told how long ball and threshold take.

        Raises `RequestError` when the ball does not fit a frame, or the threshold is
        not for the channel.
        """
        self._watch = watch or Stopwatch()
        self._ball = RollingBall(
            shape, radius_px=params.radius_px, is_smoothed=params.is_smoothed
        )
        self._threshold = Threshold(params.threshold, channel=channel)
        self._mode: Mode = params.mode

    def block(self, adu: Frames, *, first_frame: int) -> tuple[Frames, Left]:
        """Return cleaned frames, and what was left in them.

        Parameters
        ----------
        adu : uint16 or float32 array, shape (frames, height, width)
            Camera counts, or denoised ones.
        first_frame : int
            Index in the burst of ``adu[0]``.

        Returns
        -------
        array
            As ``adu``, baseline 0: to be fitted with `without_offset` of the camera.
        Left
            Pixels above the threshold; none at all is a flag, not an error.

        Raises
        ------
        DataError
            When a value is not finite.
        """
        with self._watch.step("rolling ball"):
            flat = self._ball.block(adu, first_frame=first_frame)
        with self._watch.step("threshold"):
            return apply(
                flat, self._threshold, mode=self._mode, first_frame=first_frame
            )


def _read_only(frames: Frames) -> Frames:
    """Return frames as a message's are: a kernel is compiled for one kind alone."""
    view = np.ascontiguousarray(frames).view(np.ndarray)
    view.flags.writeable = False
    return view


def without_offset(camera: CameraMaps) -> CameraMaps:
    """Return the camera as it stands for cleaned frames, whose baseline is 0.

    ThunderSTORM 1.3 shifts a frame up by its least value where the offset makes it
    negative, which cancels a stated offset on cleaned frames.
    """
    return replace(camera, offset_adu=np.zeros_like(camera.offset_adu))
