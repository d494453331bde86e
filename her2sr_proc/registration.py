"""Colours of one instrument brought into one frame, by beads that shine in all.

Pairs beads, fits an affine map, and judges it by beads that it has not seen. Knows
arrays and tables; no files. Lengths are in nanometres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import affine_transform
from scipy.spatial import cKDTree

from her2sr_proc.errors import DataError
from her2sr_proc.schema.calibration import AffineTransform

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

LEAST_BEADS = 12
"""Fewer say little of six numbers and nothing of their error."""
LEAST_CELLS = 6
"""Of the nine parts of a frame, in which there must be beads."""
SIMILAR_BELOW = 30
"""With fewer beads four numbers are fitted: turn, scale and shift."""
MOST_RESIDUAL_NM = 40.0
"""Of beads left out of the fit; what is worse is no registration."""
REACH_NM = 1500.0
"""Colours of one objective lie no farther apart."""
BIN_NM = 130.0
TIGHT_NM = 200.0
OUTLIER = 4.0
"""Robust deviations from the fit beyond which a pair is none."""
ROUNDS = 8
FOLDS = 10


@dataclass(frozen=True, slots=True)
class Fit:
    """A colour against the reference, and how good the map is."""

    transform: AffineTransform
    pairs: int
    residual_nm: float
    """Rms distance of beads that the fit did not see."""
    kept: I64
    """Rows of the moving and of the fixed beads, shape (pairs, 2)."""


def register(moving_nm: F64, fixed_nm: F64, *, frame_nm: tuple[float, float]) -> Fit:
    """Return the map that takes beads of one colour to those of the reference.

    Parameters
    ----------
    moving_nm, fixed_nm : float64 array, shape (beads, 2)
        x, y of beads in one colour and in the reference; those that only one of them
        shows are left out.
    frame_nm : tuple of float
        Width and height of the frame.

    Raises
    ------
    DataError
        Too few beads, beads in a part of the frame only, or beads that no map of this
        kind fits: nothing can be registered by them.
    """
    pairs = _paired(moving_nm, fixed_nm)
    if len(pairs) < LEAST_BEADS:
        raise DataError(
            f"{len(pairs)} beads shine in both colours and {LEAST_BEADS} are needed; "
            f"use a denser bead film, focus on it, or raise the exposure",
            beads=len(pairs),
        )
    for _ in range(ROUNDS):
        source, target = moving_nm[pairs[:, 0]], fixed_nm[pairs[:, 1]]
        away = np.linalg.norm(_mapped(_solve(source, target), source) - target, axis=1)
        spread = 1.4826 * float(np.median(away)) + 1.0
        good = away <= OUTLIER * spread
        if good.all() or good.sum() < LEAST_BEADS:
            break
        pairs = pairs[good]
    source, target = moving_nm[pairs[:, 0]], fixed_nm[pairs[:, 1]]
    _require_spread(source, frame_nm)
    residual = cross_validated_nm(source, target)
    if residual > MOST_RESIDUAL_NM:
        raise DataError(
            f"beads left out of the fit lie {residual:.0f} nm off it, and "
            f"{MOST_RESIDUAL_NM:.0f} nm are allowed; use a sparser film of smaller "
            f"beads, and let the stage settle",
            residual_nm=residual,
        )
    matrix = _solve(source, target)
    return Fit(_named(matrix), len(pairs), residual, pairs)


def cross_validated_nm(source: F64, target: F64) -> float:
    """Return the rms distance of pairs from fits that have not seen them.

    ``source, target``: float64, shape (pairs, 2), x and y in nm. The folds are the same
    in every call.
    """
    order = np.random.default_rng(2018).permutation(len(source))
    errors = np.empty(len(source))
    for fold in range(FOLDS):
        left_out = order[fold::FOLDS]
        if not left_out.size:
            continue
        rest = np.setdiff1d(order, left_out)
        matrix = _solve(source[rest], target[rest])
        error = _mapped(matrix, source[left_out]) - target[left_out]
        errors[left_out] = np.linalg.norm(error, axis=1)
    return float(np.sqrt(np.mean(errors**2)))


def moved(points_nm: F64, transform: AffineTransform | None) -> F64:
    """Return positions in the reference frame.

    Parameters
    ----------
    points_nm : float64 array, shape (points, 2)
        x, y.
    transform : AffineTransform or None
        None: the same positions.
    """
    if transform is None:
        return points_nm
    return _mapped(matrix_of(transform), points_nm)


def moved_image(
    image: F32, transform: AffineTransform | None, *, pixel_nm: float
) -> F32:
    """Return an image as the reference colour's frame would show it.

    Parameters
    ----------
    image : float32 array, shape (height, width)
    transform : AffineTransform or None
        None: the same image.
    pixel_nm : float
        Width of a pixel.
    """
    if transform is None:
        return image
    matrix = matrix_of(transform)
    back = np.linalg.inv(matrix[:, :2])
    shift_px = -back @ matrix[:, 2] / pixel_nm
    rows_first = back[::-1, ::-1], shift_px[::-1]
    found = affine_transform(image, *rows_first, order=1, mode="nearest")
    return np.asarray(found, np.float32)


def within_region(
    transform: AffineTransform, *, x_nm: float, y_nm: float
) -> AffineTransform:
    """Return the same map for positions counted from a corner within the sensor."""
    corner = np.array([[x_nm, y_nm]])
    shift = moved(corner, transform)[0] - corner[0]
    return transform.model_copy(
        update={"x_nm": float(shift[0]), "y_nm": float(shift[1])}
    )


def matrix_of(transform: AffineTransform) -> F64:
    """Return the map as an array of shape (2, 3)."""
    t = transform
    return np.array([[t.xx, t.xy, t.x_nm], [t.yx, t.yy, t.y_nm]])


def _named(matrix: F64) -> AffineTransform:
    xx, xy, x_nm, yx, yy, y_nm = (float(value) for value in matrix.ravel())
    return AffineTransform(xx=xx, xy=xy, x_nm=x_nm, yx=yx, yy=yy, y_nm=y_nm)


def _mapped(matrix: F64, points: F64) -> F64:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def _solve(source: F64, target: F64) -> F64:
    """Return the map of least squares, shape (2, 3): affine, or a similarity."""
    middle = source.mean(axis=0)
    away = source - middle
    n = len(source)
    if n >= SIMILAR_BELOW:
        design = np.column_stack([away, np.ones(n)])
        found = np.linalg.lstsq(design, target, rcond=None)[0].T
    else:
        u, v = away.T
        one, none = np.ones(n), np.zeros(n)
        design = np.concatenate(
            [np.column_stack([u, -v, one, none]), np.column_stack([v, u, none, one])]
        )
        a, b, x, y = np.linalg.lstsq(design, target.T.ravel(), rcond=None)[0]
        found = np.array([[a, -b, x], [b, a, y]])
    found[:, 2] -= found[:, :2] @ middle
    return np.asarray(found)


def _paired(moving: F64, fixed: F64) -> I64:
    """Return pairs by the commonest shift, each bead in one pair at most."""
    none = np.zeros((0, 2), np.int64)
    if not len(moving) or not len(fixed):
        return none
    tree = cKDTree(fixed)
    near = tree.query_ball_point(moving, REACH_NM)
    rows = np.array([(i, j) for i, js in enumerate(near) for j in js], np.int64)
    if not len(rows):
        return none
    shifts = fixed[rows[:, 1]] - moving[rows[:, 0]]
    cells = np.floor(shifts / BIN_NM).astype(np.int64)
    values, counts = np.unique(cells, axis=0, return_counts=True)
    # neighbours too: a true shift may lie on the border of two cells
    kin = cKDTree(values).query_ball_point(values, 1.5)
    votes = [int(counts[k].sum()) for k in kin]
    start = (values[int(np.argmax(votes))] + 0.5) * BIN_NM
    close = np.linalg.norm(shifts - start, axis=1) < TIGHT_NM
    shift = np.median(shifts[close], axis=0) if close.any() else start
    distance, partner = tree.query(moving + shift, distance_upper_bound=TIGHT_NM)
    _, back = cKDTree(moving + shift).query(fixed)
    index = np.flatnonzero(np.isfinite(distance))
    mutual = index[back[partner[index]] == index]
    return np.column_stack([mutual, partner[mutual]]).astype(np.int64)


def _require_spread(points_nm: F64, frame_nm: tuple[float, float]) -> None:
    cell = np.floor(3.0 * points_nm / np.array(frame_nm)).clip(0, 2).astype(int)
    filled = len(np.unique(cell[:, 0] * 3 + cell[:, 1]))
    if filled < LEAST_CELLS:
        raise DataError(
            f"the beads lie in {filled} of the nine parts of the frame, and "
            f"{LEAST_CELLS} are needed; move to an evenly covered place of the film",
            parts=filled,
        )
