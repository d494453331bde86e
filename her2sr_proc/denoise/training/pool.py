"""The frames that a network learns from: spread over time and over fields.

A burst begins 14 times as bright as it ends, so frames are drawn one from each of as
many equal parts of a movie. Some parts are kept apart for validation. Movies are read
frame by frame; what is kept has a bound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.denoise import Normalization, SeenMovie, TrainParams

F32 = npt.NDArray[np.float32]
U16 = npt.NDArray[np.uint16]

KEPT_BYTES = 768 * 2**20
"""Frames above this together are kept in part: a random window of each."""


class Movie(Protocol):
    """What of a movie is asked for here."""

    shape: tuple[int, int, int]

    def read(self, start: int, stop: int) -> U16:
        """Return frames ``start`` to ``stop`` - 1."""
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """What was taken from the movies."""

    training: list[U16]
    """Windows of frames, each of shape (height, width)."""
    held_out: list[U16]
    normalization: Normalization
    movies: tuple[SeenMovie, ...]


def gather(movies: Sequence[Movie], params: TrainParams) -> Pool:
    """Return frames of all movies alike, with their mean and deviation.

    Raises `RequestError` when frames are smaller than a patch or too few.
    """
    _require_room(movies, params)
    rng = np.random.default_rng([params.seed, 0])
    training: list[U16] = []
    held_out: list[U16] = []
    seen = []
    each = -(-params.frames // len(movies))
    side = _window_px(params)
    for movie in movies:
        chosen = stratified(movie.shape[0], each, rng)
        apart = _apart(len(chosen), params, rng)
        digest = hashlib.sha256()
        for frame, is_apart in zip(chosen, apart, strict=True):
            (adu,) = movie.read(int(frame), int(frame) + 1)
            digest.update(np.ascontiguousarray(adu, "<u2").tobytes())
            (held_out if is_apart else training).append(_window(adu, side, rng))
        seen.append(
            SeenMovie(
                sha256=digest.hexdigest(),
                shape=movie.shape,
                frames_taken=len(chosen),
            )
        )
    return Pool(training, held_out, _normalization(training), tuple(seen))


def stratified(
    frames: int, wanted: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return one frame of each of ``wanted`` equal parts of a movie, in order."""
    edges = np.linspace(0, frames, min(wanted, frames) + 1).astype(np.int64)
    return rng.integers(edges[:-1], edges[1:])


def patches(
    windows: Sequence[U16], count: int, params: TrainParams, rng: np.random.Generator
) -> U16:
    """Return random patches, turned and mirrored; shape (count, side, side).

    With a line of structN2V they are mirrored alone: turned, rows would be columns.
    """
    side = params.patch_px
    found = np.empty((count, side, side), np.uint16)
    for out in found:
        window = windows[int(rng.integers(len(windows)))]
        top, left = (rng.integers(0, length - side + 1) for length in window.shape)
        patch = window[top : top + side, left : left + side]
        if params.struct == "none" and rng.random() < 0.5:
            patch = patch.T
        out[:] = patch[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    return found


def _require_room(movies: Sequence[Movie], params: TrainParams) -> None:
    for movie in movies:
        if min(movie.shape[1:]) < params.patch_px:
            raise RequestError(
                f"frames of {movie.shape[1]} x {movie.shape[2]} pixels are smaller "
                f"than a patch of {params.patch_px}; choose a smaller --patch-px"
            )
        if movie.shape[0] < 2:
            raise RequestError(
                "a movie of one frame leaves none to validate on; give a longer one"
            )
    if params.frames < 2 * len(movies):
        raise RequestError(
            f"--frames {params.frames} are fewer than two of each of {len(movies)} "
            f"movies; ask for more"
        )


def _apart(
    count: int, params: TrainParams, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which frames validate: at least one, and not all."""
    wanted = round(count * params.held_out_percent / 100.0)
    found = np.zeros(count, np.bool_)
    found[rng.choice(count, min(max(wanted, 1), count - 1), replace=False)] = True
    return found


def _window_px(params: TrainParams) -> int:
    """Return the largest side of a window that keeps all of them within the bound."""
    side = int((KEPT_BYTES / (2 * params.frames)) ** 0.5)
    return max(side, params.patch_px)


def _window(adu: U16, side: int, rng: np.random.Generator) -> U16:
    tops = [int(rng.integers(0, max(length - side, 0) + 1)) for length in adu.shape]
    rows, columns = (slice(top, top + side) for top in tops)
    return np.ascontiguousarray(adu[rows, columns])


def _normalization(windows: Sequence[U16]) -> Normalization:
    count = sum(w.size for w in windows)
    mean = sum(float(w.sum(dtype=np.float64)) for w in windows) / count
    squares = sum(float(np.square(w - mean).sum()) for w in windows)
    if squares == 0.0:
        raise RequestError(
            "all frames hold one and the same value; give a movie of something"
        )
    return Normalization(mean_adu=mean, sd_adu=float(np.sqrt(squares / count)))
