"""Cost and memory against size: points, the power law through them, table and plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WORSE_THAN_LINEAR = 1.1
"""An exponent that is surely above: n log n over three decades stays below it."""
SURELY_AT_END = 1.3
"""A slope between two sizes alone, which noise of a tenth does not reach."""
BEGIN, END = "<!-- growth begins -->", "<!-- growth ends -->"
"""Between them stands the table in the page."""
FLAT_MB = 32.0
"""Memory of the largest over that of the smallest, by which it still counts as flat."""


@dataclass(frozen=True, slots=True)
class Point:
    """One size, and what it took."""

    size: int
    cpu_s: float
    peak_mb: float
    """Resident at the highest, over what was resident before the call."""


@dataclass(frozen=True, slots=True)
class Law:
    """cost = constant x size ** exponent, over the larger half of the sizes."""

    exponent: float
    error: float
    """Standard error of the exponent."""

    @property
    def is_worse_than_linear(self) -> bool:
        """Whether the exponent is above 1 by more than its error explains."""
        is_sure = self.exponent - 2.0 * self.error > 1.0
        return is_sure and self.exponent > WORSE_THAN_LINEAR


@dataclass(frozen=True, slots=True)
class Series:
    """One operation against one size."""

    name: str
    axis: str
    points: tuple[Point, ...]

    @property
    def law(self) -> Law:
        """The power law of the larger sizes, where fixed costs no longer show."""
        half = self.points[-max(3, (len(self.points) + 1) // 2) :]
        return power_law([p.size for p in half], [p.cpu_s for p in half])

    @property
    def end_exponent(self) -> float:
        """Slope to the largest size from that a third of it, or less."""
        last = self.points[-1]
        before = [p for p in self.points if 3 * p.size <= last.size * 1.01][-1]
        return power_law([before.size, last.size], [before.cpu_s, last.cpu_s]).exponent

    @property
    def is_worse_than_linear(self) -> bool:
        """Whether cost surely grows faster, over the larger half or at its end.

        A cost that was fixed and only now begins to grow bends the line: the fit has a
        large error then, and the end tells.
        """
        return self.law.is_worse_than_linear or self.end_exponent > SURELY_AT_END

    @property
    def grown_mb(self) -> float:
        """Memory of the largest size over that of the smallest."""
        return self.points[-1].peak_mb - self.points[0].peak_mb

    @property
    def bytes_each(self) -> float:
        """Memory for every further unit of size, in bytes."""
        more = self.points[-1].size - self.points[0].size
        return self.grown_mb * 1e6 / more

    @property
    def is_flat(self) -> bool:
        """Whether memory does not follow the size."""
        return self.grown_mb <= FLAT_MB


def power_law(sizes: Sequence[float], costs: Sequence[float]) -> Law:
    """Return the least-squares slope of log cost against log size, with its error.

    Three points or more; the error is that of an ordinary regression.
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(costs, float))
    x = x - x.mean()
    slope = float(x @ (y - y.mean()) / (x @ x))
    left = y - y.mean() - slope * x
    spread = float(left @ left) / max(1, len(x) - 2)
    return Law(slope, float(np.sqrt(spread / (x @ x))))


def table(found: Sequence[Series]) -> str:
    """Return the exponents of all series as a table of Markdown."""
    lines = [
        "| operation | against | from, to | CPU-s, smallest to largest | exponent "
        "| peak memory, MB | |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        first, last = one.points[0], one.points[-1]
        law = one.law
        flags = ["**worse than linear**"] if one.is_worse_than_linear else []
        flags += [] if one.is_flat else [f"{one.bytes_each:.0f} bytes each"]
        lines.append(
            f"| {one.name} | {one.axis} | {first.size:,} to {last.size:,} | "
            f"{first.cpu_s:.2g} to {last.cpu_s:.3g} | {law.exponent:.2f} ± "
            f"{law.error:.2f} | {first.peak_mb:.0f} to {last.peak_mb:.0f} | "
            f"{', '.join(flags)} |"
        )
    return "\n".join(lines)


def into_page(page: Path, drawn: str) -> None:
    """Put a table in the place of the one that stands between a page's two marks."""
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"{page} lacks '{BEGIN}' or '{END}', once each")
    before, rest = text.split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{drawn}\n{END}{rest.split(END)[1]}")


def plot(found: Sequence[Series], path: Path) -> None:
    """Draw cost against size, a panel an axis, with a line of exponent 1 in each."""
    import matplotlib as mpl

    mpl.use("Agg")
    # the same drawing gives the same file, so that a new one shows a new measurement
    mpl.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot as plt

    axes = list(dict.fromkeys(one.axis for one in found))
    rows = -(-len(axes) // 2)
    figure, panels = plt.subplots(
        rows,
        min(2, len(axes)),
        figsize=(14, 3.9 * rows),
        squeeze=False,
        layout="constrained",
    )
    for panel, axis in zip(panels.flat, axes, strict=False):
        for one in (s for s in found if s.axis == axis):
            sizes = [p.size for p in one.points]
            label = f"{one.name} ({one.law.exponent:.2f} ± {one.law.error:.2f})"
            panel.loglog(sizes, [p.cpu_s for p in one.points], "o-", ms=3, label=label)
        low, high = (np.array(panel.get_xlim()), np.array(panel.get_ylim()))
        panel.plot(low, high[1] * low / low[1], "k:", lw=1, label="linear")
        panel.set(xlabel=axis, ylabel="CPU seconds", ylim=high)
        # beside the panel: inside, it lies on points wherever a cost is high or low
        panel.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    for panel in list(panels.flat)[len(axes) :]:
        panel.set_visible(False)
    figure.suptitle("Cost against size; in brackets the exponent. Research use only")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
