"""Frames that a camera exposed and nobody received. Pure.

The core numbers what it is given, so a frame lost in a driver leaves its numbering
whole: the camera's own count shows it, or else its clock.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2sr_proc.schema.ledger import Gap

LATE = 1.5
"""Frames further apart than this many periods have lost one between them."""
SLACK = 2
"""Frames by which a burst without camera stamps may seem too long."""


def by_count(counts: Sequence[int]) -> tuple[Gap, ...]:
    """Return the gaps in the camera's own count of its exposures."""
    steps = np.diff(np.asarray(counts, np.int64))
    return tuple(
        Gap(after_frame=int(index), missing=int(steps[index]) - 1)
        for index in np.flatnonzero(steps > 1)
    )


def by_clock(t_s: Sequence[float]) -> tuple[Gap, ...]:
    """Return the gaps in the camera's stamps, in seconds.

    The period is the median distance, since a camera may be slower than its exposure.
    """
    if len(t_s) < 3:
        return ()
    steps = np.diff(np.asarray(t_s))
    period = float(np.median(steps))
    if period <= 0.0:
        return ()
    return tuple(
        Gap(after_frame=int(index), missing=round(steps[index] / period) - 1)
        for index in np.flatnonzero(steps > LATE * period)
        if round(steps[index] / period) > 1
    )


def suspected(arrival_s: Sequence[float]) -> int:
    """Return how many frames seem to be missing by the times of arrival.

    Arrivals jitter with the machine's load, so single gaps tell nothing; a burst that
    took longer than its frames does.
    """
    if len(arrival_s) < 3:
        return 0
    period = float(np.median(np.diff(np.asarray(arrival_s))))
    if period <= 0.0:
        return 0
    took = round((arrival_s[-1] - arrival_s[0]) / period)
    missing = took - (len(arrival_s) - 1)
    return missing if missing > SLACK else 0
