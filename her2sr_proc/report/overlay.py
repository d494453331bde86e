"""What is drawn over a field's picture: outlines, counts, signals, a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from her2sr_proc.nuclei import outline
from her2sr_proc.schema.counts import NucleusCounts, SignalMark
from her2sr_proc.schema.results import ArmName

I32 = npt.NDArray[np.int32]
BAR_UM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def overlay(
    labels: I32,
    nuclei: Sequence[NucleusCounts],
    marks: Sequence[SignalMark],
    arm: ArmName,
    *,
    pixel_um: float,
) -> str:
    """Return an SVG in camera pixels to lie exactly over a picture of the field.

    Outlines are solid where the nucleus is scored and dashed where it is not; the text
    is HER2 : CEP17 of the arm.
    """
    height, width = labels.shape
    parts = [_outline(labels, nucleus) for nucleus in nuclei]
    parts += [_mark(mark, pixel_um) for mark in marks if mark.arm == arm]
    parts += [_counts(labels, nucleus, arm) for nucleus in nuclei]
    # pixel (0, 0) has its centre at 0: the picture begins half a pixel before it
    box = f"-0.5 -0.5 {width} {height}"
    return (
        f'<svg class="overlay" viewBox="{box}" aria-hidden="true">'
        f'<g class="findings">{"".join(parts)}</g>'
        f"{scale_bar(width, height, pixel_um)}</svg>"
    )


def scale_bar(width: int, height: int, pixel_um: float) -> str:
    """Return a bar of a round length, about a sixth of the picture's width."""
    wanted = width * pixel_um / 6
    length_um = min(BAR_UM, key=lambda um: abs(um - wanted))
    length = length_um / pixel_um
    x, y = width * 0.96 - length, height * 0.955
    size = height * 0.034
    return (
        f'<g class="bar"><rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" '
        f'height="{height * 0.009:.1f}"/><text x="{x + length / 2:.1f}" '
        f'y="{y - size * 0.4:.1f}" font-size="{size:.1f}" text-anchor="middle">'
        f"{length_um} µm</text></g>"
    )


def _outline(labels: I32, nucleus: NucleusCounts) -> str:
    if not (labels == nucleus.nucleus).any():
        return ""
    points = " ".join(f"{x:.1f},{y:.1f}" for y, x in outline(labels, nucleus.nucleus))
    css = "excluded" if nucleus.excluded else "scored"
    told = nucleus.exclusion_reason or "scored"
    return (
        f'<polygon class="{css}" points="{points}"><title>nucleus '
        f"{nucleus.nucleus}: {escape(told)}</title></polygon>"
    )


def _counts(labels: I32, nucleus: NucleusCounts, arm: ArmName) -> str:
    if nucleus.excluded or arm not in nucleus.counts:
        return ""
    rows, columns = np.nonzero(labels == nucleus.nucleus)
    if not rows.size:
        return ""
    counts = nucleus.counts[arm]
    size = labels.shape[0] * 0.032
    y = float(rows.min()) - size * 0.3
    y = y if y > size else float(rows.max()) + size
    return (
        f'<text class="count" x="{columns.mean():.1f}" y="{y:.1f}" '
        f'font-size="{size:.1f}" text-anchor="middle">'
        f'<tspan class="her2">{counts["HER2"].count}</tspan> : '
        f'<tspan class="cep17">{counts["CEP17"].count}</tspan></text>'
    )


def _mark(mark: SignalMark, pixel_um: float) -> str:
    radius = max(2.2, 2.0 * mark.sigma_nm / 1000.0 / pixel_um)
    return (
        f'<circle class="mark {mark.probe.lower()}" cx="{mark.x_px:.2f}" '
        f'cy="{mark.y_px:.2f}" r="{radius:.2f}"/>'
    )
