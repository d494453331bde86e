"""One movie by both profiles, as one page that needs no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from her2sr_proc.report.pictures import Stretch, data_uri, stretch_sparse
from her2sr_proc.report.templates import environment
from her2sr_proc.resolution import Resolution
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.params import Profile
from her2sr_proc.schema.table import Localizations

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

WIDEST_PX = 416
"""A picture of more is shown by its brightest pixels: a page is for looking."""
TITLES = {
    "paper": "paper: the published pipeline",
    "recommended": "recommended: fitted on raw frames",
}


class Step(Protocol):
    """One step of a way."""

    @property
    def name(self) -> str: ...  # noqa: D102 - as it says
    @property
    def seconds(self) -> float: ...  # noqa: D102
    @property
    def note(self) -> str: ...  # noqa: D102


class Side(Protocol):
    """One profile's way; `her2sr_proc.offline.side_by_side` makes it."""

    @property
    def profile(self) -> Profile: ...  # noqa: D102 - as it says
    @property
    def table(self) -> Localizations: ...  # noqa: D102
    @property
    def shown(self) -> F32: ...  # noqa: D102
    @property
    def left_out(self) -> int: ...  # noqa: D102
    @property
    def resolution(self) -> Resolution: ...  # noqa: D102
    @property
    def steps(self) -> tuple[Step, ...]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class _Picture:
    title: str
    uri: str
    caption: str


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    cells: tuple[str, ...]


def render_comparison(
    conventional: F32,
    sides: tuple[Side, ...],
    *,
    frames: int,
    pixel_nm: float,
    channel: str | None,
    made_with: Mapping[str, str],
) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    conventional : float32 array, shape (height, width)
        Mean of the first frames, photo-electrons.
    sides : tuple of Side
        In the order of the page.
    frames : int
        Of the movie.
    """
    height, width = conventional.shape
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            banner=BANNER,
            frames=frames,
            height=height,
            width=width,
            pixel_nm=f"{pixel_nm:g}",
            channel=channel,
            pictures=list(_pictures(conventional, sides, pixel_nm)),
            rows=list(_rows(sides, frames)),
            sides=sides,
            made_with=made_with,
        )
    )


def _pictures(
    conventional: F32, sides: tuple[Side, ...], pixel_nm: float
) -> Iterator[_Picture]:
    low, high = np.percentile(conventional, (5.0, 99.9))
    grey = _grey(conventional, Stretch(float(low), float(high)))
    yield _Picture(
        "conventional", data_uri(grey), f"mean of the first frames, {pixel_nm:g} nm"
    )
    for side in sides:
        shown = _fitting(side.shown)
        yield _Picture(
            TITLES.get(side.profile.name, side.profile.name),
            data_uri(_grey(shown, stretch_sparse(shown, 97.0))),
            f"normalized Gaussians; {side.left_out} rows too uncertain to show are "
            f"left out here and not in the TIFF",
        )


def _fitting(picture: F32) -> F32:
    """Return a picture of at most `WIDEST_PX` a side."""
    factor = math.ceil(max(picture.shape) / WIDEST_PX)
    if factor <= 1:
        return picture
    height, width = (side // factor for side in picture.shape)
    cut = picture[: height * factor, : width * factor]
    blocks = cut.reshape(height, factor, width, factor)
    return np.asarray(blocks.max(axis=(1, 3)), np.float32)


def _grey(picture: F32, levels: Stretch) -> U8:
    level = (255.0 * levels.apply(picture)).astype(np.uint8)
    return np.repeat(level[:, :, None], 3, axis=2)


def _rows(sides: tuple[Side, ...], frames: int) -> Iterator[_Row]:
    def row(name: str, values: list[str]) -> _Row:
        return _Row(name, tuple(values))

    found = [side.resolution for side in sides]
    yield row("localizations", [f"{len(side.table)}" for side in sides])
    yield row("drawn, after the fit's steps", [f"{r.localizations}" for r in found])
    yield row("a square micrometre", [_told(r.density_um2, 1) for r in found])
    yield row("stated uncertainty, median", [_nm(r.uncertainty_nm) for r in found])
    yield row("precision by NeNA", [_nm(r.nena_nm) for r in found])
    yield row("resolution by FRC", [_frc(r) for r in found])
    seconds = [sum(step.seconds for step in side.steps) for side in sides]
    rates = [f"{s:.1f} s, {frames / max(s, 1e-9):.0f} frames/s" for s in seconds]
    yield row("time in all", rates)


def _told(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _nm(value: float) -> str:
    return f"{value:.1f} nm" if math.isfinite(value) else "not resolved"


def _frc(found: Resolution) -> str:
    if not math.isfinite(found.frc_nm):
        return "not resolved"
    return f"{found.frc_nm:.0f} ± {found.frc_sd_nm:.0f} nm"
