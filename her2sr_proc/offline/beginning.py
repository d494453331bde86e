"""A movie's results begun: by what it is known again, and what a folder may hold."""

from __future__ import annotations

import hashlib

import numpy as np

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.schema.movie import MovieIdentity, MovieOrder
from her2sr_proc.store.atomic import telling
from her2sr_proc.store.frames import FrameSource
from her2sr_proc.store.holding import sweep
from her2sr_proc.store.movie_folder import MovieFolder, read_order, write_order

BLOCK_BYTES = 8 * 2**20
MOST_BLOCK_FRAMES = 250
DENOISED_FRAMES = 8
"""Of a block that is denoised first: half a second each."""
SAMPLED = 16


def block_frames(shape: tuple[int, int, int], *, is_denoised: bool) -> int:
    """Return how many frames of a movie make a block, which a kill may cost."""
    most = DENOISED_FRAMES if is_denoised else MOST_BLOCK_FRAMES
    return max(1, min(BLOCK_BYTES // (2 * shape[1] * shape[2]), most))


def identify(movie: FrameSource, name: str) -> MovieIdentity:
    """Return by what a movie is known again; its first and last frame are read."""
    frames, height, width = movie.shape
    digest = hashlib.sha256()
    for at in np.unique(np.linspace(0, frames - 1, SAMPLED).astype(int)).tolist():
        digest.update(np.ascontiguousarray(movie.read(at, at + 1)).tobytes())
    return MovieIdentity(
        name=name,
        frames=frames,
        height_px=height,
        width_px=width,
        sampled_sha256=digest.hexdigest(),
    )


def require_room(order: MovieOrder) -> None:
    """Raise `RequestError` for frames smaller than the box of a spot."""
    box = 2 * order.localize.radius_px + 1
    movie = order.movie
    if min(movie.height_px, movie.width_px) < box:
        raise RequestError(
            f"frames of {movie.height_px} x {movie.width_px} pixels are smaller than "
            f"the box of {box} x {box} that a spot is fitted in; check that the movie "
            f"is the right one"
        )


def begin(folder: MovieFolder, order: MovieOrder) -> bool:
    """Return whether the folder was begun before, with the same order.

    It is there and held. Raises `StateError` when it holds anything else.
    """
    former = read_order(folder)
    if former is None:
        sweep(folder.root)
        if any(folder.root.iterdir()):
            raise StateError(f"{folder.root} holds other things; choose another --out")
        with telling(folder.root):
            write_order(folder, order)
        return False
    if former != order:
        before, now = former.model_dump(), order.model_dump()
        other = ", ".join(name for name in now if before[name] != now[name])
        raise StateError(
            f"{folder.root} was begun with another {other.replace('_', ' ')}; choose "
            f"another --out, or remove that folder"
        )
    sweep(folder.root)
    return True
