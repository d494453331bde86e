"""A movie of any microscope -> one table, in order of frames, a block at a time.

Knows neither files nor terminals. Threads work on blocks side by side; the table is
the same for any number of them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.burst import new_localizer
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Gathered, Localizations, empty
from her2sr_proc.schema.threshold import CleaningParams
from her2sr_proc.store.frames import FrameSource

U16 = npt.NDArray[np.uint16]
BLOCK_BYTES = 8 * 2**20
MAX_BLOCK_FRAMES = 100
AHEAD = 2
"""Blocks read ahead of every thread; no more of the movie is ever in memory."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the frames of a movie are localized."""

    camera: CameraMaps
    pixel_nm: float
    params: LocalizeParams
    cleaning: CleaningParams | None = None
    """Of every frame before; None: frames as they are."""
    channel: str | None = None
    """Which of a cleaning threshold's own holds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The table of a movie, and what it took."""

    table: Localizations
    frames: int
    input_s: float
    """Spent reading."""
    fit_s: float
    """Spent finding and fitting, summed over threads."""
    wall_s: float


def localize_movie(
    movie: FrameSource,
    recipe: Recipe,
    *,
    frames: range,
    jobs: int = 1,
    progress: Callable[[int, int], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Return the localizations of some frames of a movie.

    Parameters
    ----------
    movie : FrameSource
        Read in order, once.
    recipe : Recipe
        Camera of the movie's size, pixel and parameters.
    frames : range
        Which frames, with step 1; the table counts from the movie's first.
    jobs : int
        Threads, >= 1.
    progress : callable
        Told frames done and frames in all, after every block.
    clock : callable
        Seconds, monotonic.
    """

    def fit(adu: U16, first: int) -> tuple[Localizations, float]:
        begun = clock()
        table = localizer.block(adu, first_frame=first)
        return table, clock() - begun

    localizer = new_localizer(
        recipe.camera,
        pixel_nm=recipe.pixel_nm,
        params=recipe.params,
        cleaning=recipe.cleaning,
        channel=recipe.channel,
    )

    started = clock()
    tables = Gathered()
    tables.add(empty())
    input_s = fit_s = 0.0
    waiting: deque[tuple[int, Future[tuple[Localizations, float]]]] = deque()

    def collect() -> float:
        end, future = waiting.popleft()
        table, seconds = future.result()
        tables.add(table)
        progress(end - frames.start, len(frames))
        return seconds

    with ThreadPoolExecutor(jobs) as pool:
        for first, end in _blocks(movie.shape, frames):
            begun = clock()
            adu = movie.read(first, end)
            input_s += clock() - begun
            waiting.append((end, pool.submit(fit, adu, first)))
            if len(waiting) >= AHEAD * jobs:
                fit_s += collect()
        while waiting:
            fit_s += collect()
    table = tables.take()
    return Outcome(table, len(frames), input_s, fit_s, clock() - started)


def _blocks(shape: tuple[int, int, int], frames: range) -> Iterator[tuple[int, int]]:
    """Yield first frame and end of every block."""
    fitting = BLOCK_BYTES // (2 * shape[1] * shape[2])
    length = max(1, min(fitting, MAX_BLOCK_FRAMES))
    for first in range(frames.start, frames.stop, length):
        yield first, min(first + length, frames.stop)
