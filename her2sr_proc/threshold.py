"""A threshold for every cleaned frame, and what is left above it.

Frames in, frames out, each by its own figures and its number alone. Knows arrays and
models; neither files nor how a model was fitted.

Source: Peg et al. 2024, doi:10.1186/s13000-024-01455-8, whose threshold is 1.0 times
the mean plus 4.84 standard deviations; its authors' program keeps values above it as
they are (`tozero`), older ones take it off (`subtract`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.schema.threshold import (
    FrameFigures,
    LinearThreshold,
    Mode,
    ScheduleThreshold,
    SigmaThreshold,
)

Frames = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]
Model = SigmaThreshold | LinearThreshold | ScheduleThreshold
ANY = "any"
HIGHEST_COUNT = 65535


def figures_of(frame: Frames) -> FrameFigures:
    """Return the figures of one frame.

    Parameters
    ----------
    frame : uint16 or float32 array, shape (height, width)
        A cleaned frame.

    Returns
    -------
    FrameFigures
        Those of counts are exact to the last bit of a float64: their sums are whole
        numbers.
    """
    values = frame.astype(np.float64)
    size = values.size
    if frame.dtype.kind == "u":
        total = int(values.sum(axis=1).astype(np.int64).sum())
        squares = sum(int(s) for s in np.einsum("ij,ij->i", values, values))
        mean = total / size
        variance = (size * squares - total * total) / size**2
    else:
        mean = float(values.mean())
        variance = float(((values - mean) ** 2).mean())
    return FrameFigures(
        mean_adu=mean,
        sd_adu=math.sqrt(variance),
        minimum_adu=float(frame.min()),
        maximum_adu=float(frame.max()),
    )


def require_finite(frame: Frames, number: int) -> None:
    """Raise `DataError` when a frame of values holds any that is no number."""
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise DataError(
            f"frame {number} holds values that are no numbers (nan or infinite); make "
            f"the movie again without them"
        )


class Threshold:
    """Thresholds of the frames of one movie; may be used by several threads."""

    def __init__(
        self,
        model: Model,
        *,
        channel: str | None = None,
    ) -> None:
        """Take a model. Raises `RequestError` when it is not for the channel."""
        self._model = model
        self._k = 0.0
        if isinstance(model, SigmaThreshold):
            self._k = _k_of(model, channel)
        elif channel and model.channel and model.channel != channel:
            raise RequestError(
                f"this threshold was fitted to channel {model.channel}, not {channel}; "
                f"fit one to frames of {channel}"
            )

    def of(self, frame: Frames, number: int) -> float:
        """Return the threshold of a frame, counted from 0 in its movie, in ADU."""
        model = self._model
        if isinstance(model, ScheduleThreshold):
            frames = [anchor.frame for anchor in model.anchors]
            chosen = [anchor.threshold_adu for anchor in model.anchors]
            return float(np.interp(number, frames, chosen))
        figures = figures_of(frame)
        if isinstance(model, SigmaThreshold):
            return figures.mean_adu + self._k * figures.sd_adu
        return line_at(model, figures)


def line_at(model: LinearThreshold, figures: FrameFigures) -> float:
    """Return the threshold that a fitted line gives a frame of these figures."""
    known = figures.model_dump()
    parts = (factor * known[name] for name, factor in model.factors.items())
    return model.intercept_adu + math.fsum(parts)


def _k_of(model: SigmaThreshold, channel: str | None) -> float:
    """Return the deviations of a channel; the only ones, where none is named."""
    known = model.k_by_channel
    if channel in known:
        return known[channel]
    if ANY in known:
        return known[ANY]
    if channel is None and len(known) == 1:
        return next(iter(known.values()))
    asked = f"{channel} is none of them" if channel else "say which by --channel"
    raise RequestError(f"the threshold is for channels {', '.join(known)}: {asked}")


@dataclass(slots=True)
class Left:
    """What was left above the thresholds of some frames."""

    frames: int = 0
    empty_frames: int = 0
    """In which no pixel was left."""
    pixels: int = 0
    lowest_adu: float = math.inf
    """Of the thresholds."""
    highest_adu: float = -math.inf

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was left."""
        return self.pixels == 0

    def add(self, other: Left) -> None:
        """Add what was left of other frames."""
        self.frames += other.frames
        self.empty_frames += other.empty_frames
        self.pixels += other.pixels
        self.lowest_adu = min(self.lowest_adu, other.lowest_adu)
        self.highest_adu = max(self.highest_adu, other.highest_adu)


def apply(
    frames: Frames, threshold: Threshold, *, mode: Mode, first_frame: int
) -> tuple[Frames, Left]:
    """Return frames with nothing below their thresholds, and what was left.

    Parameters
    ----------
    frames : uint16 or float32 array, shape (frames, height, width)
        Cleaned frames, baseline 0.
    threshold : Threshold
        Of their movie.
    mode : Mode
        ``tozero`` keeps a value above the threshold as it is; ``subtract`` takes the
        threshold off, counts rounded half up.
    first_frame : int
        Index in the burst of ``frames[0]``.

    Raises
    ------
    DataError
        When a value is not finite.
    """
    out = np.zeros_like(frames)
    left = Left()
    for number, frame in enumerate(frames):
        require_finite(frame, first_frame + number)
        limit = threshold.of(frame, first_frame + number)
        is_above = frame > _as_pixel(limit, frame.dtype)
        kept = int(np.count_nonzero(is_above))
        left.add(Left(1, int(kept == 0), kept, limit, limit))
        if mode == "tozero":
            np.copyto(out[number], frame, where=is_above)
        elif kept:
            rest = frame[is_above].astype(np.float64) - limit
            is_counts = frame.dtype.kind == "u"
            out[number][is_above] = np.floor(rest + 0.5) if is_counts else rest
    return out, left


def _as_pixel(limit: float, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - a pixel
    """Return a limit above which exactly the same pixels are, in their own dtype.

    A whole number is above a limit if it is above the limit's whole part.
    """
    if dtype.kind != "u":
        return dtype.type(limit)
    if limit < 0:  # every count is above it: compare as integers of more bits
        return np.int32(-1)
    return dtype.type(min(math.floor(limit), HIGHEST_COUNT))


def formula_of(model: Model) -> str:
    """Return a model in one line, as people write it."""
    if isinstance(model, SigmaThreshold):
        parts = (f"mean + {k:.4g} SD ({c})" for c, k in model.k_by_channel.items())
        return "; ".join(parts).replace(f" ({ANY})", "")
    if isinstance(model, LinearThreshold):
        terms = (
            f" {factor:+.4g} x {name.removesuffix('_adu')}"
            for name, factor in model.factors.items()
        )
        return (
            f"{model.intercept_adu:.4g}{''.join(terms)}; R² {model.r_squared:.4f}, "
            f"left-out error {model.left_out_rmse_adu:.3g} ADU, {model.rows} frames"
        )
    first, last = model.anchors[0], model.anchors[-1]
    return (
        f"{first.threshold_adu:.4g} at frame {first.frame} to "
        f"{last.threshold_adu:.4g} at frame {last.frame}, {len(model.anchors)} anchors"
    )
