"""Frames of a burst to rows, by a run's profile: as they are, or cleaned before.

The same for live and offline. Knows arrays and parameters; neither files nor threads.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from her2sr_proc.background import Cleaning, without_offset
from her2sr_proc.localizer import Each, Localizer
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.schema.threshold import CleaningParams

U16 = npt.NDArray[np.uint16]


class BlockLocalizer(Protocol):
    """Gives the rows of blocks of one channel; may be used by several threads."""

    def block(self, adu: U16, *, first_frame: int, each: Each = map) -> Localizations:
        """Return the rows of every frame of a block, in order of frame."""
        ...


class CleanedLocalizer:
    """Cleans every frame as the paper does, and fits what is left."""

    def __init__(self, cleaning: Cleaning, localizer: Localizer) -> None:
        """Take a localizer for cleaned frames, whose camera has no offset."""
        self._cleaning = cleaning
        self._localizer = localizer

    def block(self, adu: U16, *, first_frame: int, each: Each = map) -> Localizations:
        """Return the rows of every frame of a block, in order of frame.

        As `Localizer.block`.
        """

        def clean(index: int) -> U16:
            one = adu[index : index + 1]
            cleaned, _ = self._cleaning.block(one, first_frame=first_frame + index)
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
) -> BlockLocalizer:
    """Return what localizes frames of a camera, cleaned before where asked for.

    Raises `RequestError` when the cleaning does not fit the frames or the channel.
    """
    if cleaning is None:
        return Localizer(camera, pixel_nm=pixel_nm, params=params)
    height, width = camera.offset_adu.shape
    return CleanedLocalizer(
        Cleaning((height, width), cleaning, channel=channel),
        Localizer(without_offset(camera), pixel_nm=pixel_nm, params=params),
    )


def localizer_for(
    manifest: Manifest, channel: str, camera: CameraMaps
) -> BlockLocalizer:
    """Return what localizes the frames of one channel of a run.

    Raises `DataError` when the run has no such channel, and as `new_localizer`.
    """
    return new_localizer(
        camera,
        pixel_nm=manifest.camera.pixel_nm,
        params=manifest.localize_params(channel),
        cleaning=manifest.profile.cleaning,
        channel=channel,
    )
