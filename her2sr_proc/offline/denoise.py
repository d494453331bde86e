"""A movie in, a movie with less noise out; neither is ever held whole.

Frames are worked on side by side, a few ahead of the one that is written, so that
memory does not grow with the movie.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile

from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.denoise import Card
from her2sr_proc.store.atomic import replacing, telling
from her2sr_proc.store.frames import FrameSource

F32 = npt.NDArray[np.float32]
U16 = npt.NDArray[np.uint16]
Pixels = Literal["uint16", "float32"]

SAMPLED = 16
"""Frames, spread over a movie, by which it is judged before the work."""
FAR_MEAN = 2.0
"""Deviations of the training between its mean and a movie's: another kind of movie."""
FAR_SD = 4.0
"""Times that a movie's deviation may be of the training's, or the reverse."""
BIG_BYTES = 2**32 - 2**25
"""From here on a TIFF needs 64-bit offsets."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a sample of a movie shows of it and the model."""

    mean_adu: float
    sd_adu: float
    removed_sd_adu: float
    """Standard deviation of what the network takes off."""
    seconds_per_frame: float
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CleanOrder:
    """How a movie is written."""

    out: Path
    pixels: Pixels
    jobs: int
    """Threads."""
    facts: dict[str, Any]
    """Stand in the first page's description, as JSON."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was written."""

    frames: int
    clipped: int
    """Pixels beyond uint16 that were set to its end."""


def sample(movie: FrameSource, count: int = SAMPLED) -> Iterator[U16]:
    """Yield frames that are spread evenly over a movie."""
    frames = movie.shape[0]
    wanted = min(count, frames)
    for n in range(wanted):
        at = (2 * n + 1) * frames // (2 * wanted)
        yield movie.read(at, at + 1)[0]


def judge(movie: FrameSource, denoiser: Denoiser, clock: Callable[[], float]) -> Judged:
    """Say how a movie compares with what the model was made for, and how long it takes.

    The time is of one frame on one thread, from two frames after one to warm up.
    """
    denoiser.require_room(movie.shape[1:])
    frames = list(sample(movie))
    removed, began = [], 0.0
    tried = frames[:: max(1, len(frames) // 3)][:3]
    for number, frame in enumerate(tried):
        if number == min(1, len(tried) - 1):
            began = clock()
        removed.append(frame - denoiser(frame))
    seconds = (clock() - began) / max(1, len(tried) - 1)
    means = [float(frame.mean()) for frame in frames]
    squares = [float(np.square(frame, dtype=np.float64).mean()) for frame in frames]
    mean = float(np.mean(means))
    sd = max(float(np.mean(squares)) - mean**2, 0.0) ** 0.5
    return Judged(
        mean_adu=mean,
        sd_adu=sd,
        removed_sd_adu=float(np.std(np.stack(removed), dtype=np.float64)),
        seconds_per_frame=seconds,
        flags=tuple(_flags(mean, sd, denoiser.card)),
    )


def clean(
    movie: FrameSource,
    denoiser: Denoiser,
    order: CleanOrder,
    *,
    progress: Callable[[int, int], None],
) -> Cleaned:
    """Write the cleaned movie whole, page by page.

    Raises `MovieError` for a frame that cannot be read, `WriteError` when the disk
    takes no more; nothing is left then.
    """
    counter = _Counter()
    size = movie.shape[0] * movie.shape[1] * movie.shape[2]
    bytes_wanted = size * np.dtype(order.pixels).itemsize

    def pages() -> Iterator[npt.NDArray[Any]]:
        for number, light in enumerate(_light(movie, denoiser, order.jobs), 1):
            yield light if order.pixels == "float32" else counter.counts(light)
            progress(number, movie.shape[0])

    with telling(order.out), replacing(order.out) as beside:
        tifffile.imwrite(
            beside,
            pages(),
            shape=movie.shape,
            dtype=order.pixels,
            bigtiff=bytes_wanted > BIG_BYTES,
            photometric="minisblack",
            description=json.dumps({**order.facts, "banner": BANNER}),
            software="her2sr denoise",
            metadata=None,
        )
    return Cleaned(movie.shape[0], counter.clipped)


class _Counter:
    """Rounds to camera counts, and counts what does not fit."""

    def __init__(self) -> None:
        self.clipped = 0

    def counts(self, light: F32) -> U16:
        rounded = np.rint(light)
        self.clipped += int(np.count_nonzero((rounded < 0) | (rounded > 65535)))
        return np.clip(rounded, 0, 65535).astype(np.uint16)


def _light(movie: FrameSource, denoiser: Denoiser, jobs: int) -> Iterator[F32]:
    """Yield cleaned frames in order, at most two a thread ahead."""
    frames = (movie.read(n, n + 1)[0] for n in range(movie.shape[0]))
    with ThreadPoolExecutor(jobs, "denoise") as threads:
        ahead: deque[Future[F32]] = deque()
        try:
            for frame in islice(frames, 2 * jobs):
                ahead.append(threads.submit(denoiser, frame))
            while ahead:
                yield ahead.popleft().result()
                for frame in islice(frames, 1):
                    ahead.append(threads.submit(denoiser, frame))
        finally:
            for waiting in ahead:
                waiting.cancel()


def _flags(mean: float, sd: float, card: Card) -> Iterator[str]:
    normal = card.normalization
    off = abs(mean - normal.mean_adu) / normal.sd_adu
    ratio = max(sd, 1e-9) / normal.sd_adu
    if off > FAR_MEAN or not 1 / FAR_SD <= ratio <= FAR_SD:
        yield (
            f"the movie has a mean of {mean:.0f} and a deviation of {sd:.0f} ADU, the "
            f"model was made for {normal.mean_adu:.0f} and {normal.sd_adu:.0f}: it may "
            f"be of another channel, exposure or camera; train one on this movie"
        )


def record_of(card: Card, judged: Judged) -> dict[str, Any]:
    """Return what a cleaned movie says of its making."""
    return {
        "denoised": card.form.method,
        "model_weights_sha256": card.weights_sha256,
        "normalization": card.normalization.model_dump(),
        "judged": asdict(judged),
        "warning": "noise is no longer the camera's: uncertainties that are computed "
        "from these frames mean little; fit the raw ones",
    }
