"""How a dye lives, frame by frame: bright, then dark with rare blinks, then bleached.

A signal of many dyes so begins as one bright blob and ends as single blinks. Knows no
place and no pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
MOST_CYCLES = 10_000
DARK = 1e-6
"""Part of a frame that is no light but what a running sum leaves."""


@dataclass(frozen=True, slots=True)
class Kinetics:
    """Times in frames of the published movie, 30 ms at 40 % of the laser.

    Defaults are those of `simulators.photophysics`, which were fitted to the decay of
    one real 488 stack (its mean, standard deviation and maximum over 5000 frames).
    """

    bright_shape: float = 1.4
    bright_frames: float = 285.0
    """The rate of leaving the bright state is gamma(shape) / frames."""
    on_frames: float = 2.0
    off_frames: float = 50.0
    pace_sd: float = 0.6
    """Of the logarithm of a dye's own dark time over the usual."""
    life_frames: float = 6000.0
    """Mean time from the first dark state until bleached."""
    survives: float = 0.8
    """Fraction that blinks at all after the bright state."""
    excess: float = 1.5
    """Light in the bright state over that of a blink."""
    brightness_sd: float = 0.35
    """Of the logarithm of a dye's brightness."""


def light_of(
    kinetics: Kinetics,
    *,
    dyes: int,
    frames: int,
    compression: float,
    photons: tuple[float, float, float],
    rng: np.random.Generator,
) -> F32:
    """Return photo-electrons of every dye in every frame, shape (dyes, frames).

    ``compression`` makes all that ends for good so many times faster; blinks and the
    gaps between them keep their length, so that a frame looks like a real one.
    ``photons``: of a frame that a dye is lit for; mean, least and most over dyes.
    """
    mean, least, most = photons
    sd = kinetics.brightness_sd
    each = np.clip(mean * rng.lognormal(-sd * sd / 2.0, sd, dyes), least, most)
    rate = rng.gamma(kinetics.bright_shape, 1.0, dyes) / kinetics.bright_frames
    end = rng.exponential(1.0, dyes) / np.maximum(rate * compression, 1e-9)
    steps: F64 = np.zeros((dyes, frames + 2))
    _switch(steps, np.arange(dyes), np.zeros(dyes), kinetics.excess)
    _switch(steps, np.arange(dyes), end, -kinetics.excess)
    _blinks(steps, end, kinetics, compression, rng)
    lit = np.cumsum(steps, axis=1)[:, :frames]
    lit[lit < DARK] = 0.0
    return np.asarray(each[:, None] * lit, np.float32)


def _blinks(
    steps: F64,
    end: F64,
    kinetics: Kinetics,
    compression: float,
    rng: np.random.Generator,
) -> None:
    """Add what comes after the bright state."""
    frames = steps.shape[1] - 2
    pace = rng.lognormal(0.0, kinetics.pace_sd, end.size)
    life = rng.exponential(kinetics.life_frames / compression, end.size)
    alive = np.flatnonzero((rng.random(end.size) < kinetics.survives) & (end < frames))
    now, death = end[alive], (end + life)[alive]
    for _ in range(MOST_CYCLES):
        now = now + kinetics.off_frames * pace[alive] * rng.exponential(1.0, alive.size)
        goes_on = (now < frames) & (now < death)
        alive, now, death = alive[goes_on], now[goes_on], death[goes_on]
        if not alive.size:
            return
        until = now + rng.exponential(kinetics.on_frames, alive.size)
        until = np.minimum(until, death)
        _switch(steps, alive, now, 1.0)
        _switch(steps, alive, until, -1.0)
        now = until


def _switch(
    steps: F64, dyes: npt.NDArray[np.int64], moment: F64, change: float
) -> None:
    """Add a change of light at a moment: part of it in that frame, all from the next.

    ``steps`` becomes light by a running sum over frames.
    """
    frames = steps.shape[1] - 2
    seen = np.flatnonzero(moment < frames)
    frame = np.floor(moment[seen]).astype(np.int64)
    part = moment[seen] - frame
    np.add.at(steps, (dyes[seen], frame), change * (1.0 - part))
    np.add.at(steps, (dyes[seen], frame + 1), change * part)
