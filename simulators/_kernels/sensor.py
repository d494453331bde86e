"""What a sensor makes of expected photo-electrons."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulators._kernels._jit import kernel

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
LAYERS = 256
TAIL_START = 3.6541528853610088
LAYER_AREA = 0.00492867323399
EXACT_BELOW = 48.0
"""Poisson means below this are drawn exactly, the others by an expansion."""


def _ziggurat() -> tuple[F64, F64]:
    """Return edges and heights of the layers of a normal density.

    Source: Marsaglia & Tsang 2000, doi:10.18637/jss.v005.i08.
    """
    edges = np.zeros(LAYERS + 1)
    edges[0] = LAYER_AREA / math.exp(-0.5 * TAIL_START**2)
    edges[1] = TAIL_START
    for n in range(2, LAYERS):
        height = LAYER_AREA / edges[n - 1] + math.exp(-0.5 * edges[n - 1] ** 2)
        edges[n] = math.sqrt(-2.0 * math.log(height))
    return edges, np.exp(-0.5 * edges**2)


EDGES, HEIGHTS = _ziggurat()


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
def normal(bits: np.uint64, at: np.uint64) -> tuple[float, np.uint64]:
    """Return a standard normal draw from 32 random bits, and the next counter.

    Parameters
    ----------
    bits : uint64; the lower 32 are used
    at : uint64; counter for the one draw in a hundred that needs more bits
    """
    while True:
        layer = np.int64(bits & np.uint64(LAYERS - 1))
        signed = np.int64((bits >> np.uint64(8)) & np.uint64(0xFFFFFF)) - 8388608
        x = (np.float64(signed) + 0.5) * (1.0 / 8388608.0) * EDGES[layer]
        if abs(x) < EDGES[layer + 1]:
            return x, at
        if layer == 0:
            while True:
                deep = -math.log(unit(mixed(at + GOLDEN))) / TAIL_START
                at += GOLDEN + GOLDEN
                if -2.0 * math.log(unit(mixed(at))) >= deep * deep:
                    return math.copysign(TAIL_START + deep, x), at
        at += GOLDEN
        step = HEIGHTS[layer + 1] - HEIGHTS[layer]
        if HEIGHTS[layer] + unit(mixed(at)) * step < math.exp(-0.5 * x * x):
            return x, at
        at += GOLDEN
        bits = mixed(at)


@kernel
def poisson_low(mean: float, at: np.uint64) -> tuple[float, np.uint64]:
    """Return an exact Poisson draw as float64 and the next counter.

    Below 10 by products of uniforms; above by transformed rejection, good for any
    mean. Source: PTRS of Hörmann 1993, doi:10.1016/0167-6687(93)90997-4.
    """
    if mean < 10.0:
        limit, product, count = math.exp(-mean), 1.0, -1.0
        while product > limit or count < 0.0:
            at += GOLDEN
            product *= unit(mixed(at))
            count += 1.0
        return count, at
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    quick = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        at += GOLDEN
        u = unit(mixed(at)) - 0.5
        at += GOLDEN
        v = unit(mixed(at))
        us = 0.5 - abs(u)
        count = math.floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= quick:
            return count, at
        if count < 0.0 or (us < 0.013 and v > us):
            continue
        left = math.log(v * inverse / (a / (us * us) + b))
        if left <= count * math.log(mean) - mean - math.lgamma(count + 1.0):
            return count, at


@kernel
def poisson_high(mean: float, z: float) -> float:
    """Return a Poisson draw as float64 from a normal draw; for means from 48 on.

    The third-order Cornish-Fisher expansion, rounded: mean and variance are exact,
    the distribution function is right to 1e-3.
    """
    root = math.sqrt(mean - 1.0 / 12.0)  # rounding adds a twelfth
    bent = mean + root * z + (z * z - 1.0) / 6.0 + (z - z * z * z) / (72.0 * root)
    return math.floor(max(bent, 0.0) + 0.5)


@kernel
def expose_exact(
    rate_e: F32,
    offset: F32,
    adu_per_e: F32,
    read_e: F32,
    dark_e_per_s: F32,
    exposure_s: np.float32,
    seed: np.uint64,
    frame: np.uint64,
    out: U16,
) -> None:
    """Fill ``out`` with one frame: Poisson electrons, read noise, gain, offset.

    Parameters
    ----------
    rate_e, offset, adu_per_e, read_e, dark_e_per_s : float32 array, (height, width)
    exposure_s : float32
    seed, frame : uint64
    out : uint16 array, (height, width), filled; saturates at 65535
    """
    height, width = rate_e.shape
    start = mixed(seed + frame * MIX_1)
    for y in range(height):
        at = mixed(start + np.uint64(y) * MIX_2)
        for x in range(width):
            mean = np.float64(rate_e[y, x] + dark_e_per_s[y, x] * exposure_s)
            at += GOLDEN
            bits = mixed(at)
            read, at = normal(bits, at)
            if mean >= EXACT_BELOW:
                z, at = normal(bits >> np.uint64(32), at)
                electrons = poisson_high(mean, z)
            else:
                electrons, at = poisson_low(mean, at)
            electrons += read_e[y, x] * read
            count = offset[y, x] + adu_per_e[y, x] * electrons + 0.5
            out[y, x] = np.uint16(min(max(count, 0.0), 65535.0))


@kernel
def moments(
    rate_e: F32,
    offset: F32,
    adu_per_e: F32,
    read_e: F32,
    dark_e_per_s: F32,
    exposure_s: np.float32,
    out: F32,
) -> None:
    """Fill ``out``, float32 (2, height, width), with mean and sd of counts.

    Other parameters as in `expose_exact`.
    """
    height, width = rate_e.shape
    for y in range(height):
        mean, sd = out[0, y], out[1, y]
        for x in range(width):
            electrons = rate_e[y, x] + dark_e_per_s[y, x] * exposure_s
            mean[x] = offset[y, x] + adu_per_e[y, x] * electrons
            noise = np.sqrt(electrons + read_e[y, x] * read_e[y, x])
            sd[x] = adu_per_e[y, x] * noise


@kernel
def expose_fast(
    mean_adu: F32, sd_adu: F32, bank: F32, seed: np.uint64, frame: np.uint64, out: U16
) -> None:
    """Fill ``out`` with mean + sd * numbers of a bank, each row from its own start.

    Parameters
    ----------
    mean_adu, sd_adu : float32 array, (height, width)
    bank : float32 array, (n,), n > width; standard normal
    seed, frame : uint64
    out : uint16 array, (height, width), filled
    """
    height, width = mean_adu.shape
    spare = np.uint64(bank.size - width)
    start = mixed(seed + frame * MIX_1)
    low, high, half = np.float32(0.0), np.float32(65535.0), np.float32(0.5)
    for y in range(height):
        first = np.int64(mixed(start + np.uint64(y) * MIX_2) % spare)
        noise = bank[first : first + width]
        mean, sd, row = mean_adu[y], sd_adu[y], out[y]
        for x in range(width):
            count = mean[x] + sd[x] * noise[x] + half
            row[x] = np.uint16(np.int32(min(max(count, low), high)))
