"""What `her2sr process MOVIE` was asked for, and what it made of it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.params import LocalizeParams, ProfileName
from her2sr_proc.schema.times import Times


class MovieIdentity(Frozen):
    """By what a movie is known again, wherever it lies."""

    name: str
    frames: int = Field(ge=1)
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)
    sampled_sha256: str = Field(description="of frames spread over the movie")


class MovieOrder(Frozen):
    """``order.json``: all that the result depends on, and nothing else."""

    version: Literal[1] = 1
    banner: str = BANNER
    movie: MovieIdentity
    profile: ProfileName
    profile_digest: str
    localize: LocalizeParams = Field(description="the profile's, for this optics")
    camera: CameraModel
    camera_maps_sha256: str | None = None
    channel: str | None = Field(default=None, description="of the cleaning threshold")
    model_sha256: str | None = Field(
        default=None, description="weights that denoise frames first; none: not done"
    )
    block_frames: int = Field(ge=1, description="frames of a stored part")


class LeftFacts(Frozen):
    """What the thresholds of all frames left."""

    frames: int = Field(default=0, ge=0)
    empty_frames: int = Field(default=0, ge=0, description="without a pixel left")
    pixels: int = Field(default=0, ge=0)
    lowest_adu: float | None = Field(default=None, description="of the thresholds")
    highest_adu: float | None = None

    def plus(self, other: LeftFacts) -> LeftFacts:
        """Return the same of the frames of both."""
        low = [v for v in (self.lowest_adu, other.lowest_adu) if v is not None]
        high = [v for v in (self.highest_adu, other.highest_adu) if v is not None]
        return LeftFacts(
            frames=self.frames + other.frames,
            empty_frames=self.empty_frames + other.empty_frames,
            pixels=self.pixels + other.pixels,
            lowest_adu=min(low, default=None),
            highest_adu=max(high, default=None),
        )


class AfterFit(Frozen):
    """What the steps after the fit did to a table."""

    drift_nm: float | None = Field(
        default=None, ge=0, description="farthest from the mean; none: not taken off"
    )
    drift_note: str = Field(default="", description="why none was taken off")
    linked: int = Field(ge=0, description="rows when re-blinks are one")
    kept: int = Field(ge=0, description="of these, certain enough to be drawn")


class MovieSummary(Frozen):
    """``summary.json``, written last: with it, a result is whole."""

    version: Literal[1] = 1
    banner: str = BANNER
    order: MovieOrder
    localizations: int = Field(ge=0, description="as fitted")
    after_fit: AfterFit | None = Field(
        default=None, description="none: the profile ends with the fit"
    )
    left: LeftFacts | None = Field(default=None, description="none: no threshold")
    flags: tuple[str, ...] = ()
    frames_resumed: int = Field(ge=0, description="that stood from an earlier call")
    times: Times
    made_with: dict[str, str] = Field(default_factory=dict)


def finite(value: float) -> float | None:
    """Return a number that JSON has; none for infinity."""
    return value if math.isfinite(value) else None
