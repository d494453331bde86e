"""The report's few charts as inline SVG: numbers in, text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from her2sr_proc.schema.results import Arm


@dataclass(frozen=True, slots=True)
class Series:
    """One set of counts a nucleus, under its name and CSS class."""

    name: str
    css: str
    counts: Sequence[int]


@dataclass(frozen=True, slots=True)
class NamedArm:
    """One row of the ratio chart."""

    name: str
    css: str
    arm: Arm


_W, _H = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 12, 14, 38
LAST_BIN = 30
"""Counts from here on share one bar."""


def histogram(series: Sequence[Series], x_label: str) -> str:
    """Return bars of nuclei by count, the series side by side."""
    tallies = [Counter(min(c, LAST_BIN) for c in s.counts) for s in series]
    last = max((max(t) for t in tallies if t), default=1)
    peak = max((max(t.values()) for t in tallies if t), default=1)
    step = (_W - _LEFT - _RIGHT) / (last + 1)
    bar = step * 0.8 / max(1, len(series))
    plot = _H - _TOP - _BOTTOM
    parts = [_y_grid(peak, plot)]
    for i, (one, tally) in enumerate(zip(series, tallies, strict=True)):
        for count, nuclei in sorted(tally.items()):
            x = _LEFT + count * step + step * 0.1 + i * bar
            h = plot * nuclei / peak
            parts.append(
                f'<rect class="{one.css}" x="{x:.1f}" y="{_TOP + plot - h:.1f}" '
                f'width="{bar:.1f}" height="{h:.1f}"><title>{escape(one.name)}: '
                f"{nuclei} nuclei with {count}</title></rect>"
            )
    every = max(1, (last + 1) // 16)
    for count in range(0, last + 1, every):
        label = f"{count}+" if count == LAST_BIN else str(count)
        parts.append(_text(_LEFT + (count + 0.5) * step, _H - _BOTTOM + 15, label))
    parts.append(_text((_LEFT + _W - _RIGHT) / 2, _H - 5, x_label))
    parts.append(_text(12, _TOP + plot / 2, "nuclei", rotate=True))
    return _svg(_W, _H, parts, x_label)


def ratios(rows: Sequence[NamedArm], limit: float = 2.0) -> str:
    """Return each arm's ratio with its interval, and the guideline's limit."""
    shown = [row for row in rows if row.arm.ratio is not None]
    tops = [
        row.arm.ratio_interval_95[1] if row.arm.ratio_interval_95 else 0.0
        for row in shown
    ]
    tops += [row.arm.ratio or 0.0 for row in shown]
    top = max([limit * 1.5, *(min(t, 25.0) for t in tops)]) * 1.05
    left, height = 255, 34 + 30 * max(1, len(shown))
    plot = _W - left - _RIGHT

    def at(value: float) -> float:
        return left + plot * min(value, top) / top

    parts = [
        f'<line class="limit" x1="{at(limit):.1f}" x2="{at(limit):.1f}" y1="6" '
        f'y2="{height - 26}"/>',
    ]
    for value in range(0, int(top) + 1, max(1, int(top) // 8)):
        parts.append(_text(at(value), height - 10, str(value)))
    for i, row in enumerate(shown):
        parts += _ratio_row(row, 22 + 30 * i, left, at)
    return _svg(_W, height, parts, "HER2/CEP17 ratio by arm")


def truth_lines(
    rows: Sequence[tuple[str, Sequence[tuple[str, float | None]], float | None]],
    limit: float = 2.0,
) -> str:
    """Return one line a sample: ratios of its arms, by CSS class, and the true one.

    A ratio beyond the axis is drawn at its end.
    """
    values = [v for _, arms, true in rows for v in (*(a for _, a in arms), true) if v]
    top = min(max([limit * 1.5, *values]) * 1.05, 12.0)
    left, height = 190, 34 + 22 * max(1, len(rows))
    plot = _W - left - _RIGHT

    def at(value: float) -> float:
        return left + plot * min(value, top) / top

    parts = [
        f'<line class="limit" x1="{at(limit):.1f}" x2="{at(limit):.1f}" y1="6" '
        f'y2="{height - 26}"/>'
    ]
    for value in range(int(top) + 1):
        parts.append(_text(at(value), height - 10, str(value)))
    for i, (name, arms, true) in enumerate(rows):
        y = 18 + 22 * i
        parts.append(
            f'<text class="row" x="{left - 12}" y="{y + 4}" text-anchor="end">'
            f"{escape(name)}</text>"
        )
        if true is not None:
            parts.append(
                f'<rect class="truth" x="{at(true) - 2:.1f}" y="{y - 8}" width="4" '
                f'height="16"><title>{true:.2f}</title></rect>'
            )
        parts += [
            f'<circle class="{css}" cx="{at(value):.1f}" cy="{y}" r="4.5">'
            f"<title>{value:.2f}</title></circle>"
            for css, value in arms
            if value is not None
        ]
    return _svg(_W, height, parts, "HER2/CEP17 ratio by arm, beside the true one")


def scatter(pairs: Sequence[tuple[int, int]], x_label: str, y_label: str) -> str:
    """Return pairs of whole numbers as discs whose area is the number of nuclei."""
    tally = Counter(pairs)
    top = max((max(pair) for pair in tally), default=1) + 1
    size, left, bottom = 250, 40, 36
    plot = size - bottom - 10

    def x_at(value: float) -> float:
        return left + plot * value / top

    def y_at(value: float) -> float:
        return 10 + plot * (1 - value / top)

    parts = [
        f'<line class="diagonal" x1="{x_at(0):.1f}" y1="{y_at(0):.1f}" '
        f'x2="{x_at(top):.1f}" y2="{y_at(top):.1f}"/>'
    ]
    every = max(1, top // 6)
    for tick in range(0, top + 1, every):
        parts.append(_text(x_at(tick), 10 + plot + 14, str(tick)))
        parts.append(_text(left - 10, y_at(tick) + 4, str(tick)))
    for (x, y), nuclei in sorted(tally.items()):
        radius = 3.0 * nuclei**0.5
        parts.append(
            f'<circle class="dot" cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" '
            f'r="{radius:.1f}"><title>{nuclei} nuclei: {x}, {y}</title></circle>'
        )
    parts.append(_text(left + plot / 2, size - 4, x_label))
    parts.append(_text(11, 10 + plot / 2, y_label, rotate=True))
    return _svg(size + 20, size, parts, f"{y_label} against {x_label}")


def _ratio_row(
    row: NamedArm, y: int, left: int, at: Callable[[float], float]
) -> list[str]:
    arm = row.arm
    parts = [
        f'<text class="row" x="{left - 12}" y="{y + 4}" text-anchor="end">'
        f"{escape(row.name)}</text>"
    ]
    if arm.ratio_interval_95 is not None:
        low, high = arm.ratio_interval_95
        parts.append(
            f'<line class="{row.css} whisker" x1="{at(low):.1f}" '
            f'x2="{at(high):.1f}" y1="{y}" y2="{y}"/>'
        )
    if arm.ratio is not None:
        parts.append(
            f'<circle class="{row.css}" cx="{at(arm.ratio):.1f}" cy="{y}" r="5.5">'
            f"<title>{arm.ratio:.2f}</title></circle>"
        )
    return parts


def _y_grid(peak: int, plot: float) -> str:
    every = max(1, -(-peak // 5))
    parts = []
    for value in range(0, peak + 1, every):
        y = _TOP + plot * (1 - value / peak)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_W - _RIGHT}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/>'
        )
        parts.append(_text(_LEFT - 12, y + 4, str(value)))
    return "".join(parts)


def _text(x: float, y: float, text: str, *, rotate: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if rotate else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{turn}>'
        f"{escape(text)}</text>"
    )


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
