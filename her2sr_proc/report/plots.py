"""The cohort's charts: numbers in, a figure out, and its bytes as PNG or SVG."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.statistics.agreement import BlandAltman

F64 = npt.NDArray[np.float64]

CONVENTIONAL, SUPERRESOLUTION = "#c9283e", "#1f5fbf"
"""Red and blue, as in the paper; the marks differ in shape too."""
INK, FAINT = "#1b2330", "#9aa5b5"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "her2sr",
    "svg.fonttype": "path",
}
DPI = 200
APART = 0.2
"""Half the distance of the arms of one category, whose width is 1."""
SPREAD = 0.28
"""Most that the samples of one arm and category spread."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One sample of figure 4."""

    sample: str
    category: str
    conventional: float | None
    superresolution: float | None


def save(figure: Figure, form: Literal["png", "svg"]) -> bytes:
    """Return a figure as a file's bytes: the same for the same figure, with banner."""
    figure.text(0.5, 0.006, BANNER, ha="center", va="bottom", fontsize=6.5, color=INK)
    about = {"Description": BANNER} if form == "png" else {"Title": BANNER}
    if form == "svg":
        about |= {"Date": ""}
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format=form, dpi=DPI, metadata=about)
    figure.texts.pop()
    return file.getvalue()


def dot_plot(
    dots: Sequence[Dot], categories: Sequence[tuple[str, str]], arm_title: str
) -> Figure:
    """Return figure 4: HER2 per nucleus by IHC, both arms, samples joined by a line.

    ``categories`` are values and titles, in order from the left.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.3))
        axes = figure.add_axes((0.1, 0.15, 0.87, 0.76))
        top = max((v for d in dots for v in _values(d)), default=4.0)
        for limit in (4.0, 6.0):
            axes.axhline(limit, color=FAINT, lw=0.8, ls=(0, (4, 3)), zorder=0)
        for place, (value, _) in enumerate(categories):
            mine = [dot for dot in dots if dot.category == value]
            for n, dot in enumerate(mine):
                shift = (n - (len(mine) - 1) / 2) * min(
                    0.05, SPREAD / max(1, len(mine))
                )
                _draw(axes, dot, place + shift)
        _legend(axes, arm_title)
        axes.set_xticks(range(len(categories)), [title for _, title in categories])
        axes.set_xlim(-0.6, len(categories) - 0.4)
        axes.set_ylim(0, max(6.8, top * 1.08))
        axes.set_xlabel("HER2 immunohistochemistry")
        axes.set_ylabel("HER2 signals per nucleus")
    return figure


def threshold_plot(rows: Sequence[ThresholdRow], fitted_adu: F64) -> Figure:
    """Return figure 2: thresholds against those of a model, and what is left."""
    chosen = np.array([row.threshold_adu for row in rows])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        left = figure.add_axes((0.1, 0.17, 0.5, 0.76))
        ends = [min(chosen.min(), fitted_adu.min()), chosen.max()]
        left.plot(ends, ends, color=FAINT, lw=1, zorder=0)
        left.scatter(fitted_adu, chosen, s=26, color=SUPERRESOLUTION)
        for row, x in zip(rows, fitted_adu, strict=True):
            left.annotate(
                row.label, (x, row.threshold_adu), (5, -8), textcoords="offset points"
            )
        left.set_xlabel("threshold of the model, ADU")
        left.set_ylabel("threshold chosen, ADU")
        right = figure.add_axes((0.71, 0.17, 0.27, 0.76))
        right.axhline(0, color=FAINT, lw=1)
        rest = chosen - fitted_adu
        right.scatter(fitted_adu, rest, s=18, color=CONVENTIONAL, marker="s")
        reach = max(float(np.abs(rest).max()) * 1.3, 1.0)
        right.set_ylim(-reach, reach)
        right.set_xlabel("threshold of the model, ADU")
        right.set_ylabel("chosen − model, ADU")
    return figure


def schedule_plot(frames: Sequence[int], chosen_adu: Sequence[float]) -> Figure:
    """Return thresholds over the frames of a movie, level before and after them."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        axes = figure.add_axes((0.1, 0.17, 0.86, 0.76))
        axes.plot(frames, chosen_adu, "o-", color=SUPERRESOLUTION, lw=1, ms=5)
        axes.set_ylim(bottom=min(0.0, *chosen_adu))
        axes.set_xlabel("frame, from 0")
        axes.set_ylabel("threshold, ADU")
    return figure


def bland_altman_plot(
    pairs: Sequence[tuple[str, float, float]],
    found: BlandAltman,
    x_label: str,
    y_label: str,
) -> Figure:
    """Return differences, second less first, against means, with limits.

    Pairs that fall on one point are drawn as a larger one.
    """
    points = Counter(((a + b) / 2, b - a) for _, a, b in pairs)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.6))
        axes = figure.add_axes((0.1, 0.16, 0.72, 0.78))
        lines = (
            (found.bias, found.bias_interval_95, "bias"),
            (found.lower_limit, found.lower_limit_interval_95, "lower limit"),
            (found.upper_limit, found.upper_limit_interval_95, "upper limit"),
        )
        for value, interval, name in lines:
            axes.axhline(value, color=INK, lw=0.9, ls="-" if name == "bias" else "--")
            axes.axhspan(*interval, color=FAINT, alpha=0.16, lw=0)
            axes.annotate(
                f"{name} {value:.2f}".replace("-", "\N{MINUS SIGN}"),
                (1.01, value),
                xycoords=("axes fraction", "data"),
                va="center",
            )
        axes.axhline(0, color=FAINT, lw=0.8)
        axes.scatter(
            [mean for mean, _ in points],
            [gap for _, gap in points],
            s=[26 * count for count in points.values()],
            color=SUPERRESOLUTION,
            ec="white",
            lw=0.5,
            zorder=3,
        )
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return figure


def _values(dot: Dot) -> list[float]:
    return [v for v in (dot.conventional, dot.superresolution) if v is not None]


def _draw(axes: Any, dot: Dot, place: float) -> None:  # noqa: ANN401 - matplotlib's Axes
    left, right = place - APART, place + APART
    if dot.conventional is not None and dot.superresolution is not None:
        ys = (dot.conventional, dot.superresolution)
        axes.plot((left, right), ys, color=FAINT, lw=0.8, zorder=1)
    marks = (
        (left, dot.conventional, "o", CONVENTIONAL),
        (right, dot.superresolution, "D", SUPERRESOLUTION),
    )
    for x, y, mark, colour in marks:
        if y is not None:
            size = 34 if mark == "o" else 27
            axes.scatter(
                [x],
                [y],
                s=size,
                marker=mark,
                color=colour,
                ec="white",
                lw=0.6,
                zorder=2,
            )


def _legend(axes: Any, arm_title: str) -> None:  # noqa: ANN401 - matplotlib's Axes
    axes.scatter([], [], s=34, marker="o", color=CONVENTIONAL, label="Conventional")
    axes.scatter([], [], s=27, marker="D", color=SUPERRESOLUTION, label=arm_title)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
