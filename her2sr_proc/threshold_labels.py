"""Labels by rule: the smallest threshold that leaves few false spots off the nuclei.

What an observer looks for by eye, made a rule: light off the nuclei is no signal, so
what stands above a threshold there is false. Knows frames and masks; neither files nor
models.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.threshold import figures_of, require_finite

Frames = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
LEAST_SHARE = 0.01
"""Of a frame that must be off the nuclei, for the rule to mean anything."""
NEIGHBOURS = np.ones((3, 3), np.bool_)


def off_nuclei(labels: npt.NDArray[np.int32], *, margin_px: int) -> Mask:
    """Return the pixels that are further than a margin from every nucleus.

    Raises `RequestError` when next to none are.
    """
    inside = labels > 0
    if margin_px and inside.any():
        inside = ndimage.distance_transform_edt(~inside) <= margin_px
    off = ~inside
    if off.mean() < LEAST_SHARE:
        raise RequestError(
            f"less than {LEAST_SHARE:.0%} of the frame is off the nuclei; the rule "
            f"needs ground without signals: choose a smaller --margin-px, or label by "
            f"eye"
        )
    return off


def spot_heights(frame: Frames, where: Mask) -> npt.NDArray[np.float64]:
    """Return the heights of a frame's local maxima within a mask, above zero.

    A maximum is no less than its eight neighbours; a plateau counts once.
    """
    highest = ndimage.maximum_filter(frame, footprint=NEIGHBOURS, mode="nearest")
    is_top = (frame == highest) & (frame > 0) & where
    parts, count = ndimage.label(is_top, NEIGHBOURS)
    if not count:
        return np.empty(0)
    heights = ndimage.maximum(frame, parts, range(1, count + 1))
    return np.asarray(heights, np.float64)


def label_frame(
    frames: Frames, middle: int, first_frame: int, off: Mask, *, rate: float
) -> ThresholdRow:
    """Return the label of one frame, by itself and those around it.

    Parameters
    ----------
    frames : array, shape (frames, height, width)
        Cleaned frames around the labelled one; a rate below 1 needs several.
    middle : int
        Which of them is labelled; its figures are the label's.
    first_frame : int
        Index in the movie of ``frames[0]``.
    off : bool array, shape (height, width)
        From `off_nuclei`.
    rate : float
        Spots above the threshold off the nuclei, at most, a frame on average.

    Returns
    -------
    ThresholdRow
        Its threshold is the height of the brightest spot that must go, exactly: a
        lower one would leave more spots than the rate allows, a higher one would take
        more than it asks.

    Raises
    ------
    DataError
        When a value is not finite.
    """
    for number, frame in enumerate(frames, first_frame):
        require_finite(frame, number)
    heights = np.sort(np.concatenate([spot_heights(frame, off) for frame in frames]))
    allowed = math.floor(rate * len(frames) + 1e-9)
    too_many = heights.size - allowed
    figures = figures_of(frames[middle])
    return ThresholdRow(
        **figures.model_dump(),
        threshold_adu=float(heights[too_many - 1]) if too_many > 0 else 0.0,
        frame=first_frame + middle,
    )


def spread(count: int, frames: int) -> list[int]:
    """Return frames to label, from 0: denser early, when the light changes most.

    The first and the last are among them.
    """
    wanted = min(count, frames)
    if wanted == 1:
        return [0]
    share = np.linspace(0.0, 1.0, wanted) ** 2
    chosen = {round(s * (frames - 1)) for s in share}
    rest = (n for n in range(frames) if n not in chosen)
    while len(chosen) < wanted:
        chosen.add(next(rest))
    return sorted(chosen)
