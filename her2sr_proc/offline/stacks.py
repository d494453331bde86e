"""A movie through a step, frame by frame and in order, a few blocks at a time.

Knows neither files nor terminals. Threads work on blocks side by side; the frames are
the same for any number of them, and memory does not grow with the movie.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from her2sr_proc.store.frames import FrameSource

Frames = npt.NDArray[Any]
Step = Callable[[Frames, int], Frames]
"""Frames and the number of the first among them -> as many frames."""
BLOCK_BYTES = 8 * 2**20
MAX_BLOCK_FRAMES = 100
AHEAD = 2
"""Blocks read ahead of every thread; no more of the movie is ever in memory."""


@dataclass(slots=True)
class Spent:
    """Seconds that a movie took, as far as it has come."""

    input_s: float = 0.0
    """Reading."""
    work_s: float = 0.0
    """Processor time of the step, over all threads."""
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False)
    work_clock: Callable[[], float] = field(default=time.thread_time, repr=False)


def stream(
    movie: FrameSource,
    step: Step,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None],
    spent: Spent,
) -> Iterator[Frames]:
    """Yield a movie's frames after a step, a block at a time and in order.

    Parameters
    ----------
    movie : FrameSource
        Read in order, once.
    step : callable
        Called from several threads at once; treats every frame alone.
    jobs : int
        Threads, >= 1.
    progress : callable
        Told frames done and frames in all, after every block.
    spent : Spent
        Added to.
    """
    waiting: deque[tuple[int, Future[tuple[Frames, float]]]] = deque()

    def work(frames: Frames, first: int) -> tuple[Frames, float]:
        begun = spent.work_clock()
        done = step(frames, first)
        return done, spent.work_clock() - begun

    def collect() -> Frames:
        end, future = waiting.popleft()
        frames, seconds = future.result()
        spent.work_s += seconds
        progress(end, movie.shape[0])
        return frames

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for first, end in blocks(movie):
                begun = spent.clock()
                frames = movie.read(first, end)
                spent.input_s += spent.clock() - begun
                waiting.append((end, pool.submit(work, frames, first)))
                if len(waiting) >= AHEAD * jobs:
                    yield collect()
            while waiting:
                yield collect()
        finally:
            pool.shutdown(cancel_futures=True)


def blocks(movie: FrameSource) -> Iterator[tuple[int, int]]:
    """Yield first frame and end of every block of a movie."""
    frames, height, width = movie.shape
    fitting = BLOCK_BYTES // (movie.dtype.itemsize * height * width)
    length = max(1, min(fitting, MAX_BLOCK_FRAMES))
    for first in range(0, frames, length):
        yield first, min(first + length, frames)


def unchanged(frames: Frames, first: int) -> Frames:
    """Return the frames as they are."""
    del first
    return frames
