"""The lives of dyes under light, and the frames in which they shone."""

import math

import numpy as np

from simulators._kernels._jit import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
ONE = np.uint64(1)
LATENT, BRIGHT, DARK, BLINK, DEAD = 0, 1, 2, 3, 4


@kernel
def mixed(z):
    """Return 64 well mixed bits of a 64-bit counter. Source: splitmix64, Steele 2014."""
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@kernel
def unit(bits):
    """Return a float64 inside (0, 1) from 64 bits."""
    return (np.float64(bits >> np.uint64(11)) + 0.5) * (1.0 / 9007199254740992.0)


@kernel
def exponential(key, step):
    """Return the exponential draw number ``step`` of the stream ``key``, mean 1."""
    return -math.log(unit(mixed(key + (np.uint64(step) + ONE) * GOLDEN)))


@kernel
def advance(
    index,
    begin_s,
    end_s,
    rate,
    latent_rate,
    kinetics,
    ageing,
    species,
    key,
    pace,
    state,
    step,
    dose,
    until,
    death,
    turn_s,
    on_dose,
):
    """Let constant light fall on dyes for a while and note the dose taken while on.

    Parameters
    ----------
    index : int64 array, (n,); which dyes
    begin_s, end_s : float; lit seconds since the light was switched to this view
    rate, latent_rate : float64 array, (dyes,); dose per second, after and before
        conversion
    kinetics : float64 array, (species, 4); on, off, life dose, survival
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
        shining = now == BRIGHT or now == BLINK
        if turn_s[i] > end_s:
            on_dose[n] = rate[i] * (end_s - begin_s) if shining else 0.0
            continue
        on, off, life, survival = kinetics[species[i]]
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
            if now != DARK:
                taken += turn - at
            at = turn
            if now == BRIGHT:
                death[i] = turn + life / ageing * exponential(key[i], step[i])
                if math.exp(-exponential(key[i], step[i] + 1)) > survival:
                    death[i] = turn
                step[i] += 2
            if turn >= death[i]:
                now = DEAD
                until[i] = math.inf
                break
            draw = exponential(key[i], step[i])
            step[i] += 1
            if now == DARK:
                now = BLINK
                until[i] = turn + on * draw
            else:
                now = DARK
                until[i] = turn + off * ageing * pace[i] * draw
        if now == BRIGHT or now == BLINK:
            taken += end - at
        on_dose[n] = taken
        state[i] = now
        turn_s[i] = (until[i] - dose[i]) / rate[i]


@kernel
def note_intervals(index, on_dose, frame, first, last, found, used):
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
