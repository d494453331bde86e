"""Threshold models from labelled frames, refused where they explain too little.

Labels in, a model out. Knows neither files nor frames.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.schema.threshold import (
    LEAST_R_SQUARED,
    LEAST_ROWS,
    Anchor,
    Feature,
    LinearThreshold,
    ScheduleThreshold,
    SigmaThreshold,
)
from her2sr_proc.statistics.regression import ThresholdLine, threshold_line
from her2sr_proc.threshold import ANY

Rows = Sequence[ThresholdRow]
FEATURES: tuple[Feature, ...] = ("mean_adu", "sd_adu")
EXTRA: tuple[Feature, ...] = ("minimum_adu", "maximum_adu")


def fit_sigma(rows: Rows) -> SigmaThreshold:
    """Return mean plus k standard deviations, k of every channel by least squares.

    Raises `RequestError` for no rows, and where a channel's k would not be above 0.
    """
    if not rows:
        raise RequestError("there are no labels to fit k to; label some frames")
    by_channel: dict[str, list[ThresholdRow]] = defaultdict(list)
    for row in rows:
        by_channel[row.channel or ANY].append(row)
    k_of = {channel: _k(channel, some) for channel, some in by_channel.items()}
    rest = [
        r.threshold_adu - r.mean_adu - k_of[r.channel or ANY] * r.sd_adu for r in rows
    ]
    rms = math.sqrt(math.fsum(e * e for e in rest) / len(rest))
    return SigmaThreshold(k_by_channel=k_of, rows=len(rows), rms_error_adu=rms)


def _k(channel: str, rows: Rows) -> float:
    spread = math.fsum(row.sd_adu**2 for row in rows)
    above = math.fsum(row.sd_adu * (row.threshold_adu - row.mean_adu) for row in rows)
    k = above / spread if spread else 0.0
    if not 0 < k <= 1000:
        raise RequestError(
            f"the labels of channel {channel} give k = {k:g}, which is no threshold "
            f"above the mean; check mean_adu, sd_adu and threshold_adu"
        )
    return k


def fit_linear(
    rows: Rows,
    *,
    features: Sequence[Feature] = FEATURES,
    least_r_squared: float = LEAST_R_SQUARED,
) -> tuple[LinearThreshold, ThresholdLine]:
    """Return the line of least squares through labels of one channel, and its fit.

    Parameters
    ----------
    rows : sequence of ThresholdRow
        At least eight, of frames spread in time, so that the line is not asked for
        thresholds beyond its labels.
    features : sequence of names
        Mean and standard deviation, and minimum and maximum where wanted.
    least_r_squared : float
        Less is refused: the line would not stand in for a choice.

    Raises
    ------
    RequestError
        For too few rows, several channels, a figure that a row lacks, figures that
        rise together, and a line that explains too little.
    """
    channel = _one_channel(rows)
    least = max(LEAST_ROWS, len(features) + 3)
    if len(rows) < least:
        raise RequestError(
            f"{len(rows)} labelled frames are too few for a line; label at least "
            f"{least}, spread over the movie"
        )
    extra = {name: _column(rows, name) for name in EXTRA if name in features}
    line = threshold_line(
        _column(rows, "mean_adu"),
        _column(rows, "sd_adu"),
        [row.threshold_adu for row in rows],
        minimum_adu=extra.get("minimum_adu"),
        maximum_adu=extra.get("maximum_adu"),
    )
    if not line.r_squared >= least_r_squared:
        raise RequestError(
            f"the line explains too little of the labels: R² is {line.r_squared:.3f}, "
            f"and {least_r_squared:g} is the least; a frame's threshold by the line "
            f"through the others is {line.left_out_rmse_adu:.0f} ADU off (rms). Label "
            f"more frames, spread in time, or use --kind schedule"
        )
    factors: dict[Feature, float] = {
        name: line.factors[name] for name in (*FEATURES, *EXTRA) if name in line.factors
    }
    model = LinearThreshold(
        channel=channel,
        intercept_adu=line.intercept_adu,
        factors=factors,
        r_squared=line.r_squared,
        left_out_rmse_adu=line.left_out_rmse_adu,
        rows=len(rows),
        is_formula=line.is_formula,
    )
    return model, line


def fit_schedule(rows: Rows) -> ScheduleThreshold:
    """Return anchors at the labelled frames of one channel.

    Raises `RequestError` for no rows, several channels, a row without a frame, and a
    frame labelled twice.
    """
    channel = _one_channel(rows)
    if not rows:
        raise RequestError("there are no labels to make anchors of; label some frames")
    chosen: dict[int, float] = {}
    for row in rows:
        if row.frame is None:
            raise RequestError(
                "a label does not say of which frame it is; add the column 'frame', "
                "counted from 0"
            )
        if row.frame in chosen:
            raise RequestError(f"frame {row.frame} is labelled twice; keep one label")
        chosen[row.frame] = row.threshold_adu
    anchors = tuple(Anchor(frame=f, threshold_adu=chosen[f]) for f in sorted(chosen))
    return ScheduleThreshold(channel=channel, anchors=anchors)


def of_channel(rows: Rows, channel: str | None) -> list[ThresholdRow]:
    """Return the labels of a channel; all, where none is named.

    Raises `RequestError` when there are none of it.
    """
    if channel is None:
        return list(rows)
    kept = [row for row in rows if row.channel in ("", channel)]
    if not kept:
        known = ", ".join(sorted({row.channel for row in rows}))
        raise RequestError(f"no label is of channel {channel}; there are {known}")
    return kept


def _one_channel(rows: Rows) -> str:
    channels = sorted({row.channel for row in rows})
    if len(channels) > 1:
        raise RequestError(
            f"the labels are of channels {', '.join(c or 'none' for c in channels)}; "
            f"one model is of one: choose it by --channel"
        )
    return channels[0] if channels else ""


def _column(rows: Rows, name: Feature) -> list[float]:
    values = [getattr(row, name) for row in rows]
    if any(value is None for value in values):
        raise RequestError(
            f"not every label has {name}; fill the column in, or leave it out of the "
            f"features"
        )
    return [float(np.float64(value)) for value in values]
