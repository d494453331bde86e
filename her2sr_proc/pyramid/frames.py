"""From tables to the frames of a picture: what is drawn, and by whom where two overlap.

Knows tables in batches; no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.pyramid.points import Columns, Points
from her2sr_proc.pyramid.shelf import Frame
from her2sr_proc.rendering import drawn_sigma_nm, is_drawn
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import Localizations

F32 = npt.NDArray[np.float32]
Batches = Callable[[], Iterable[Localizations]]
"""Gives a table in parts, from its beginning, every time it is called."""
PLACES = ("x_nm", "y_nm", "uncertainty_nm")
"""The columns that a picture needs."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a camera's frame lies in the picture."""

    height_px: int
    width_px: int
    pixel_nm: float
    """Of the camera."""
    top_nm: float = 0.0
    left_nm: float = 0.0

    @property
    def size_nm(self) -> tuple[float, float]:
        """Height and width."""
        return self.height_px * self.pixel_nm, self.width_px * self.pixel_nm

    @property
    def centre_nm(self) -> tuple[float, float]:
        """Y and x of the middle of the frame, in the picture."""
        height, width = self.size_nm
        return self.top_nm + height / 2, self.left_nm + width / 2


def frame_of(
    ground: Ground,
    batches: Batches,
    *,
    params: RenderParams,
    cell_nm: float,
    others: Sequence[Ground] = (),
) -> Frame:
    """Return a frame whose localizations are loaded on demand.

    Parameters
    ----------
    ground : Ground
        Where it lies.
    batches : callable
        Gives its table, with at least the columns `PLACES`.
    params : RenderParams
        What is left out, and how wide the rest is drawn.
    cell_nm : float
        Side of the cells of the picture.
    others : sequence of Ground
        Frames that may overlap it. What two frames saw is drawn once: from the frame
        whose centre is nearer, in the larger of both axes.
    """
    rivals = [other for other in others if other != ground and _overlap(ground, other)]

    def load() -> Points:
        return Points.sorted_by_cell(
            _joined(_kept(batch, ground, rivals, params) for batch in batches()),
            left_nm=ground.left_nm,
            top_nm=ground.top_nm,
            cell_nm=cell_nm,
        )

    height, width = ground.size_nm
    return Frame(ground.top_nm, ground.left_nm, height, width, load)


def _joined(parts: Iterable[Columns]) -> Columns:
    """Return parts as one; each part is let go as soon as it has been copied."""
    lists: tuple[list[F32], ...] = tuple([np.empty(0, np.float32)] for _ in PLACES)
    for part in parts:
        for some, column in zip(lists, part, strict=True):
            some.append(column)
    joined = []
    for some in lists:
        joined.append(np.concatenate(some))
        some.clear()
    return Columns(*joined)


def _kept(
    batch: Localizations,
    ground: Ground,
    rivals: Sequence[Ground],
    params: RenderParams,
) -> Columns:
    """Return x, y from the frame's corner, and sigma, of the rows that are drawn."""
    drawn = is_drawn(
        batch,
        height_px=ground.height_px,
        width_px=ground.width_px,
        pixel_nm=ground.pixel_nm,
        params=params,
    )
    x, y, uncertainty = (batch[name][drawn].astype(np.float64) for name in PLACES)
    # the table's origin is the centre of the first pixel
    x += 0.5 * ground.pixel_nm
    y += 0.5 * ground.pixel_nm
    is_own = np.ones(x.size, np.bool_)
    for other in rivals:
        is_own &= _is_nearer(y + ground.top_nm, x + ground.left_nm, ground, other)
    sigma = drawn_sigma_nm(uncertainty, params)
    return Columns(*(c[is_own].astype(np.float32) for c in (x, y, sigma)))


def _overlap(one: Ground, other: Ground) -> bool:
    return all(
        abs(a - b) < (size + other_size) / 2
        for a, b, size, other_size in zip(
            one.centre_nm, other.centre_nm, one.size_nm, other.size_nm, strict=True
        )
    )


def _is_nearer(
    y_nm: npt.NDArray[np.float64],
    x_nm: npt.NDArray[np.float64],
    one: Ground,
    other: Ground,
) -> npt.NDArray[np.bool_]:
    """Return which places ``one`` draws; every place belongs to exactly one of both."""
    own, rival = (
        np.maximum(np.abs(y_nm - g.centre_nm[0]), np.abs(x_nm - g.centre_nm[1]))
        for g in (one, other)
    )
    if one.centre_nm < other.centre_nm:
        return own <= rival
    return own < rival
