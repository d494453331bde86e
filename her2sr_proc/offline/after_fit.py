"""What `recommended` does to a table once every spot is fitted: drift, link, filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.linking import link
from her2sr_proc.rendering import is_drawn
from her2sr_proc.schema.movie import AfterFit
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.stopwatch import Stopwatch

SEGMENT_FRAMES = 200
LINK_NM, LINK_GAP = 20.0, 1


@dataclass(frozen=True, slots=True)
class Frame:
    """Of the camera behind a table."""

    height_px: int
    width_px: int
    pixel_nm: float


def after_fit(
    table: Localizations,
    *,
    frames: int,
    frame: Frame,
    render: RenderParams,
    watch: Stopwatch,
) -> tuple[Localizations, AfterFit]:
    """Return a burst's molecules without drift, each once, certain enough to draw.

    Too short or empty a movie shows no drift; that is said, and nothing is shifted.
    """
    drift_nm, why = None, ""
    with watch.step("drift"):
        try:
            drift = measure_drift(
                table, frames=frames, method="aim", segment_frames=SEGMENT_FRAMES
            )
        except RequestError as exc:
            why = str(exc)
        else:
            table = drift.taken_off(table)
            drift_nm = float(np.hypot(*drift.xy_nm.T).max())
    with watch.step("link"):
        table = link(table, distance_nm=LINK_NM, gap=LINK_GAP)
    linked = len(table)
    with watch.step("filter"):
        table = table.take(
            is_drawn(
                table,
                height_px=frame.height_px,
                width_px=frame.width_px,
                pixel_nm=frame.pixel_nm,
                params=render,
            )
        )
    done = AfterFit(drift_nm=drift_nm, drift_note=why, linked=linked, kept=len(table))
    return table, done
