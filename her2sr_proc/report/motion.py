"""How the sample moved under every burst, and its pictures through the focus.

Plain values and a chart for the report; who reads them from a run is `offline.motion`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from her2sr_proc.report.pictures import Stretch

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

_W, _H = 560, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 30
CROP_PX = 96
GAP_PX = 4
LEVELS = (30.0, 99.8)
"""Percentiles of black and white over all planes of a stack."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Of one burst; None: nothing tells it."""

    field: str
    channel: str
    across_nm: tuple[float, float] | None
    """x, y from the first frames to the last, of its localizations."""
    drive_um: float | None
    """Of the focus drive from its begin to its end."""
    sharpest_um: float | None
    """In the stack before it, from the plane that it was taken in."""
    why_unknown: str
    """Of `sharpest_um`, where there is a stack."""
    along_um: float | None
    """Of the sharpest plane until the stack of the field's next burst."""

    @property
    def distance_nm(self) -> float | None:
        """How far it went across."""
        return None if self.across_nm is None else math.hypot(*self.across_nm)


@dataclass(frozen=True, slots=True)
class StackPicture:
    """Planes of one stack side by side, low to high."""

    field: str
    channel: str
    heights_um: tuple[float, ...]
    """From the middle plane."""
    sharpest_um: float | None
    uri: str


def chart(motions: Sequence[Motion]) -> str:
    """Return distances across and along the axis, burst by burst; empty for none."""
    series = {
        "across": [m.distance_nm for m in motions],
        "along": [None if m.along_um is None else 1000.0 * m.along_um for m in motions],
    }
    known = [v for values in series.values() for v in values if v is not None]
    if not known:
        return ""
    low, high = min(0.0, *known), max(1.0, *known)
    plot = _H - _TOP - _BOTTOM

    def y_at(value: float) -> float:
        return _TOP + plot * (high - value) / (high - low)

    step = (_W - _LEFT - _RIGHT) / len(motions)
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_W - _RIGHT}" y1="{y_at(v):.1f}" '
        f'y2="{y_at(v):.1f}"/>{_text(_LEFT - 6, y_at(v) + 4, f"{v:.0f}", "end")}'
        for v in sorted({low, 0.0, high})
    ]
    for name, values in series.items():
        parts += [
            f'<circle class="{name}" cx="{_LEFT + (n + 0.5) * step:.1f}" '
            f'cy="{y_at(value):.1f}" r="4"><title>{escape(one.field)} '
            f"{escape(one.channel)}: {value:.0f} nm {name}</title></circle>"
            for n, (one, value) in enumerate(zip(motions, values, strict=True))
            if value is not None
        ]
    middle = (_LEFT + _W - _RIGHT) / 2
    parts.append(_text(middle, _H - 6, "bursts in order / drift in nm"))
    return (
        f'<svg class="chart" viewBox="0 0 {_W} {_H}" role="img" '
        f'aria-label="drift of the sample in every burst">{"".join(parts)}</svg>'
    )


def montage(pictures: U16, planes: int) -> U8:
    """Return the middle of every plane side by side, on one scale.

    Parameters
    ----------
    pictures : uint16 array, shape (planes * frames, height, width)
        All frames of a plane together.
    planes : int
        At least one.

    Returns
    -------
    uint8 array, shape (side, planes * side and gaps)
    """
    means = pictures.reshape(planes, -1, *pictures.shape[1:]).mean(axis=1)
    side = min(CROP_PX, *means.shape[1:])
    top, left = ((n - side) // 2 for n in means.shape[1:])
    crops = means[:, top : top + side, left : left + side].astype(np.float32)
    low, high = np.percentile(crops, LEVELS)
    drawn = Stretch(float(low), float(high)).apply(crops)
    gap = np.ones((side, GAP_PX), np.float32)
    parts = [part for plane in drawn for part in (plane, gap)][:-1]
    return np.asarray(255.0 * np.concatenate(parts, axis=1), np.uint8)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
