"""The lives of dyes under light, and the frames in which they shone."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulators._kernels._jit import kernel

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
ONE = np.uint64(1)
LATENT, BRIGHT, DARK, BLINK, DEAD = 0, 1, 2, 3, 4


@kernel
def mixed(z: np.uint64) -> np.uint64:
    """Return 64 well mixed bits of a counter. Source: splitmix64, Steele 2014."""
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@kernel
def unit(bits: np.uint64) -> float:
    """Return a float64 inside (0, 1) from 64 bits."""
    return (np.float64(bits >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@kernel
def exponential(key: np.uint64, step: int) -> float:
    """Return the exponential draw number ``step`` of the stream ``key``, mean 1."""
    return -math.log(unit(mixed(key + (np.uint64(step) + ONE) * GOLDEN)))


@kernel
def advance(
    index: I64,
    begin_s: float,
    end_s: float,
    rate: F64,
    kinetics: F64,
    ageing: float,
    species: U8,
    key: U64,
    pace: F64,
    state: U8,
    step: U32,
    dose: F64,
    until: F64,
    death: F64,
    turn_s: F64,
    on_dose: F64,
) -> None:
    """Let constant light fall on dyes for a while and note the dose taken while on.

    Parameters
    ----------
    index : int64 array, (n,); which dyes
    begin_s, end_s : float; lit seconds since the light was switched to this view
    rate : float64 array, (dyes,); dose per second, once converted
    kinetics : float64 array, (species, 5); on, off, life dose, survival, and light
        while first bright over that of a blink
    ageing : float; lives are divided by it, dark states multiplied
    species, key, pace, state, step, dose, until, death : arrays, (dyes,); see
        photophysics.Emitters, doses as of 0 s; state, step, until, death are updated,
        dose too where a dye is converted
    turn_s : float64 array, (dyes,); lit seconds of the next transition, updated
    on_dose : float64 array, (n,); filled
    """
    for n in range(index.size):
        i = index[n]
        now = state[i]
        strength = 1.0 if now == BLINK else 0.0
        if now == BRIGHT:
            strength = kinetics[species[i], 4]
        if turn_s[i] > end_s:  # nearly all dyes in nearly all frames
            on_dose[n] = strength * rate[i] * (end_s - begin_s)
            continue
        on, off, life, survival, _ = kinetics[species[i]]
        if now == LATENT:
            on_dose[n] = 0.0
            state[i] = DARK
            dose[i] = -rate[i] * end_s
            death[i] = life / ageing * exponential(key[i], step[i])
            until[i] = off * ageing * pace[i] * exponential(key[i], step[i] + 1)
            step[i] += 2
            turn_s[i] = end_s + until[i] / rate[i] if rate[i] > 0.0 else math.inf
            continue
        taken = 0.0
        at, end = dose[i] + rate[i] * begin_s, dose[i] + rate[i] * end_s
        while until[i] <= end:
            turn = until[i]
            taken += strength * (turn - at)
            at = turn
            if now == BRIGHT:
                death[i] = turn + life / ageing * exponential(key[i], step[i])
                if math.exp(-exponential(key[i], step[i] + 1)) > survival:
                    death[i] = turn
                step[i] += 2
            if turn >= death[i]:
                now, strength = DEAD, 0.0
                until[i] = math.inf
                break
            draw = exponential(key[i], step[i])
            step[i] += 1
            if now == DARK:
                now, strength = BLINK, 1.0
                until[i] = turn + on * draw
            else:
                now, strength = DARK, 0.0
                until[i] = turn + off * ageing * pace[i] * draw
        on_dose[n] = taken + strength * (end - at)
        state[i] = now
        turn_s[i] = (until[i] - dose[i]) / rate[i]


@kernel
def note_intervals(
    index: I64, on_dose: F64, frame: int, first: I32, last: I32, found: I64, used: int
) -> int:
    """Extend the on intervals of dyes by one frame; return how many are in ``found``.

    Parameters
    ----------
    index : int64 array, (n,)
    on_dose : float64 array, (n,)
    frame : int
    first, last : int32 array, (dyes,); running interval, -1: none; updated
    found : int64 array, (room, 3); dye, first, last frame of finished intervals
    used : int; rows of ``found`` already used; there must be room for n more
    """
    for n in range(index.size):
        if on_dose[n] <= 0.0:
            continue
        i = index[n]
        if last[i] == frame - 1 and first[i] >= 0:
            last[i] = frame
            continue
        if first[i] >= 0:
            found[used, 0], found[used, 1], found[used, 2] = i, first[i], last[i]
            used += 1
        first[i] = frame
        last[i] = frame
    return used
