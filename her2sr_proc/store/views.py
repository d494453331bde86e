"""Movies made of other movies: some frames of one, or several one after another.

Nothing is copied; frames are read when they are asked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import MovieError, RequestError
from her2sr_proc.store import tiff
from her2sr_proc.store.frames import FrameSource, open_movie
from her2sr_proc.store.pixels import check_range

Frames = npt.NDArray[Any]


class KeptFrames:
    """Every n-th frame of a movie, from one to another."""

    def __init__(self, movie: FrameSource, kept: range) -> None:
        self._movie = movie
        self._kept = kept
        self.shape = (len(kept), *movie.shape[1:])
        self.dtype = movie.dtype

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop`` - 1 of those kept. Raises `MovieError`.

        One by one where some between are left out, so that these are never read.
        """
        check_range(start, stop, self.shape[0])
        wanted = self._kept[start:stop]
        if self._kept.step == 1:
            frames: Frames = self._movie.read(wanted.start, wanted.stop)
            return frames
        return np.concatenate([self._movie.read(n, n + 1) for n in wanted])

    def close(self) -> None:
        """Close the movie. Safe to call twice."""
        self._movie.close()


class JoinedFrames:
    """Movies one after another; one of them is open at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self._open: tuple[int, FrameSource] | None = None
        shapes = [self._at(n).shape for n in range(len(paths))]
        self._ends = list(accumulate(shape[0] for shape in shapes))
        self.shape = (self._ends[-1], *shapes[0][1:])
        for path, shape in zip(paths, shapes, strict=True):
            self._require_same(path, shape[1:], self.shape[1:])
        self.dtype = self._at(0).dtype

    def read(self, start: int, stop: int) -> Frames:
        """Return frames ``start`` to ``stop`` - 1. Raises `MovieError`."""
        check_range(start, stop, self.shape[0])
        parts = []
        at = start
        while at < stop:
            number = bisect_right(self._ends, at)
            begin = self._ends[number - 1] if number else 0
            end = min(stop, self._ends[number])
            movie = self._at(number)
            if movie.dtype != self.dtype:
                raise MovieError(
                    f"{self._paths[number]} holds {movie.dtype.name} pixels, "
                    f"{self._paths[0]} {self.dtype.name}: join movies of one kind",
                    path=str(self._paths[number]),
                )
            parts.append(movie.read(at - begin, end - begin))
            at = end
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def close(self) -> None:
        """Close what is open. Safe to call twice."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _at(self, number: int) -> FrameSource:
        if self._open is None or self._open[0] != number:
            self.close()
            self._open = (number, open_movie(self._paths[number], floats=True))
        return self._open[1]

    def _require_same(
        self, path: Path, size: tuple[int, ...], wanted: tuple[int, ...]
    ) -> None:
        if size != wanted:
            self.close()
            raise MovieError(
                f"{path} has frames of {size[0]} x {size[1]} pixels, {self._paths[0]} "
                f"of {wanted[0]} x {wanted[1]}; join movies of one size",
                path=str(path),
            )


def kept_range(first: int, last: int | None, increment: int, frames: int) -> range:
    """Return which frames ImageJ's Slice Keeper keeps, counted from 0.

    Parameters
    ----------
    first, last : int
        Counted from 1, both kept; ``last`` left out is the movie's last.
    increment : int
        Every n-th of them.
    frames : int
        Of the movie.

    Raises
    ------
    RequestError
        When the movie has no such frames.
    """
    end = frames if last is None else last
    if increment < 1:
        raise RequestError(f"--increment {increment} keeps nothing; give 1 or more")
    if not 1 <= first <= end <= frames:
        raise RequestError(
            f"--first {first} --last {end} is not within the movie, whose frames are "
            f"1 to {frames}; choose a first and a last among them"
        )
    return range(first - 1, end, increment)


def in_order(paths: Sequence[Path]) -> list[Path]:
    """Return files in the order that people mean: img_10 after img_9."""
    return sorted(paths, key=lambda path: (str(path.parent), tiff.natural(path)))


def missing_number(names: Sequence[str]) -> int | None:
    """Return the first number that is left out of names that count up by one.

    None when none is, and when the names are not such a series.
    """
    found = [re.findall(r"\d+", name) for name in names]
    if len(found) < 3 or len({re.sub(r"\d+", "0", name) for name in names}) != 1:
        return None
    moving = [
        [int(n) for n in column]
        for column in zip(*found, strict=True)
        if len(set(column)) > 1
    ]
    if len(moving) != 1:
        return None
    steps = [(a, b - a) for a, b in pairwise(moving[0])]
    usual = min(step for _, step in steps)
    return next((a + usual for a, step in steps if step != usual > 0), None)
