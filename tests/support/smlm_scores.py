"""How good a table of localizations is against the truth of its movie.

One-to-one pairs within 250 nm, nearest first, frame by frame; J the Jaccard index in
percent, E = 100 - sqrt((100 - J)^2 + RMSE^2) with the lateral RMSE in nm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.stats import norm

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

REACH_NM = 250.0
BOX_PX = 6
"""The bound is that of a box of 2 BOX_PX + 1 pixels."""
ALONE_PX = 12.0
"""An emitter without another so near is isolated."""


@dataclass(frozen=True)
class Places:
    """Points of a movie: frames from 0, nanometres from the first pixel's centre."""

    frame: I64
    x_nm: F64
    y_nm: F64


@dataclass(frozen=True)
class Score:
    """The figures of one movie, and which row is whose."""

    truths: int
    found: int
    pairs: tuple[I64, I64]
    """Rows of the truth, and rows of the table."""
    error_nm: F64
    """Table less truth, shape (pairs, 2): x and y."""

    @property
    def hits(self) -> int:
        return len(self.pairs[0])

    @property
    def jaccard(self) -> float:
        return 100.0 * self.hits / (self.truths + self.found - self.hits)

    @property
    def precision(self) -> float:
        return self.hits / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.hits / self.truths

    @property
    def rmse_nm(self) -> float:
        """Lateral."""
        return float(np.sqrt((self.error_nm**2).sum(axis=1).mean()))

    @property
    def efficiency(self) -> float:
        return 100.0 - float(np.hypot(100.0 - self.jaccard, self.rmse_nm))

    @property
    def bias_nm(self) -> tuple[float, float]:
        x, y = self.error_nm.mean(axis=0)
        return float(x), float(y)


def score(truth: Places, table: Places, *, reach_nm: float = REACH_NM) -> Score:
    """Pair a table with the truth, globally nearest first in each frame."""
    own: list[int] = []
    their: list[int] = []
    for frame in np.intersect1d(truth.frame, table.frame):
        t = np.flatnonzero(truth.frame == frame)
        f = np.flatnonzero(table.frame == frame)
        i, j = _pairs(_points(truth, t), _points(table, f), reach_nm)
        own.extend(t[i])
        their.extend(f[j])
    rows = np.array(own, np.int64), np.array(their, np.int64)
    error = _points(table, rows[1]) - _points(truth, rows[0])
    return Score(len(truth.frame), len(table.frame), rows, error)


def _points(places: Places, rows: I64) -> F64:
    return np.column_stack([places.x_nm[rows], places.y_nm[rows]])


def _pairs(truth: F64, found: F64, reach: float) -> tuple[list[int], list[int]]:
    near = cKDTree(truth).sparse_distance_matrix(
        cKDTree(found), reach, output_type="ndarray"
    )
    own: dict[int, int] = {}
    taken: set[int] = set()
    for i, j, _ in np.sort(near, order=("v", "i", "j")).tolist():
        if i not in own and j not in taken:
            own[i] = j
            taken.add(j)
    return list(own), list(own.values())


def alone(frame: I64, x_px: F64, y_px: F64, *, px: float = ALONE_PX) -> npt.NDArray:
    """Return whether each emitter has no other near it in its frame."""
    points = np.column_stack([frame * 1e6, x_px, y_px])
    near, _ = cKDTree(points).query(points, k=2)
    return near[:, 1] > px


def bounds_px(
    x_px: F64, y_px: F64, photons: F64, background: F64, sigma_px: float, read_e: float
) -> F64:
    """Return the Cramer-Rao bound of x of lone spots whose width is known, pixels.

    ``background``: photo-electrons a pixel under each of them. From derivatives by
    finite differences of the normal distribution function.
    """
    size = 2 * BOX_PX + 1
    edges = np.arange(size + 1) - size / 2

    def shares(offset: F64) -> F64:
        return np.diff(norm.cdf(edges, offset[:, None], sigma_px), axis=1)

    dx, dy = x_px - np.rint(x_px), y_px - np.rint(y_px)
    h = 1e-4
    down, across = shares(dy), shares(dx)
    down_y = (shares(dy + h) - shares(dy - h)) / (2 * h)
    across_x = (shares(dx + h) - shares(dx - h)) / (2 * h)
    light = photons[:, None, None]
    image = down[:, :, None] * across[:, None, :]
    slopes = np.stack(
        [
            light * down[:, :, None] * across_x[:, None, :],
            light * down_y[:, :, None] * across[:, None, :],
            image,
            np.ones_like(image),
        ]
    ).reshape(4, len(x_px), -1)
    mean = light * image + background[:, None, None] + read_e**2
    fisher = np.einsum(
        "anp,bnp,np->nab", slopes, slopes, 1 / mean.reshape(len(x_px), -1)
    )
    return np.sqrt(np.linalg.inv(fisher)[:, 0, 0])
