"""Frames of a burst to rows, by a run's profile: as they are, or cleaned before.

The same for live and offline. Knows arrays and parameters; neither files nor threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from her2sr_proc.background import Cleaning, without_offset
from her2sr_proc.errors import RequestError
from her2sr_proc.localizer import Each, Localizer
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.schema.threshold import CleaningParams
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.threshold import Left

U16 = npt.NDArray[np.uint16]
Denoise = Callable[[U16], npt.NDArray[Any]]
"""A frame in counts -> the same with less noise, in ADU."""
HIGHEST_COUNT = 65535


class BlockLocalizer(Protocol):
    """Gives the rows of blocks of one channel; may be used by several threads."""

    def block(self, adu: U16, *, first_frame: int, each: Each = map) -> Localizations:
        """Return the rows of every frame of a block, in order of frame."""
        ...


@dataclass(frozen=True, slots=True)
class Aside:
    """What may go with localizing, none of it needed."""

    denoise: Denoise | None = None
    """Done to every frame first; for cleaned frames alone."""
    watch: Stopwatch | None = None
    """Told how long every step takes."""
    told: Callable[[Left], None] | None = None
    """Hears what the threshold of each frame left; maybe in several threads."""


class CleanedLocalizer:
    """Cleans every frame as the paper does, and fits what is left."""

    def __init__(
        self,
        cleaning: Cleaning,
        localizer: Localizer,
        aside: Aside,
    ) -> None:
        """Take a localizer for cleaned frames, whose camera has no offset.

        Denoised frames are rounded to counts, as those of a cleaned TIFF would be.
        """
        self._cleaning = cleaning
        self._localizer = localizer
        self._denoise, self._told = aside.denoise, aside.told
        self._watch = aside.watch or Stopwatch()

    def block(self, adu: U16, *, first_frame: int, each: Each = map) -> Localizations:
        """Return the rows of every frame of a block, in order of frame.

        As `Localizer.block`.
        """

        def clean(index: int) -> U16:
            one = adu[index : index + 1]
            if self._denoise is not None:
                with self._watch.step("denoise"):
                    light = np.rint(self._denoise(one[0]))
                    one = np.clip(light, 0, HIGHEST_COUNT).astype(np.uint16)[None]
            cleaned, left = self._cleaning.block(one, first_frame=first_frame + index)
            if self._told is not None:
                self._told(left)
            return np.asarray(cleaned[0], np.uint16)

        if not len(adu):
            return self._localizer.block(adu, first_frame=first_frame)
        frames = np.stack(list(each(clean, range(len(adu)))))
        return self._localizer.block(frames, first_frame=first_frame, each=each)


def new_localizer(
    camera: CameraMaps,
    *,
    pixel_nm: float,
    params: LocalizeParams,
    cleaning: CleaningParams | None,
    channel: str | None,
    aside: Aside = Aside(),
) -> BlockLocalizer:
    """Return what localizes frames of a camera, cleaned before where asked for.

    Raises `RequestError` when the cleaning does not fit the frames or the channel, or
    where frames are to be denoised but fitted as they are.
    """
    watch = aside.watch
    if cleaning is None:
        if aside.denoise is not None:
            raise RequestError(
                "frames without their noise are not for a fit that rests on it; use "
                "the profile paper, or leave the model out"
            )
        return Localizer(camera, pixel_nm=pixel_nm, params=params, watch=watch)
    height, width = camera.offset_adu.shape
    return CleanedLocalizer(
        Cleaning((height, width), cleaning, channel=channel, watch=watch),
        Localizer(
            without_offset(camera), pixel_nm=pixel_nm, params=params, watch=watch
        ),
        aside,
    )


def localizer_for(
    manifest: Manifest,
    channel: str,
    camera: CameraMaps,
    *,
    watch: Stopwatch | None = None,
    denoise: Denoise | None = None,
) -> BlockLocalizer:
    """Return what localizes the frames of one channel of a run.

    ``denoise`` is done to every frame first, by a profile that cleans them. Raises
    `DataError` when the run has no such channel, and as `new_localizer`.
    """
    return new_localizer(
        camera,
        pixel_nm=manifest.camera.pixel_nm,
        params=manifest.localize_params(channel),
        cleaning=manifest.profile.cleaning,
        channel=channel,
        aside=Aside(denoise, watch),
    )
