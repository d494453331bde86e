"""What a sensor makes of expected photo-electrons."""

import math

import numpy as np

from simulators._kernels._jit import kernel

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
LAYERS = 256
TAIL_START = 3.6541528853610088
LAYER_AREA = 0.00492867323399
EXACT_BELOW = 48.0
"""Poisson means below this are drawn exactly, above by an expansion."""


def _ziggurat() -> tuple[np.ndarray, np.ndarray]:
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
def normal(at):
    """Return a standard normal draw and the next counter."""
    while True:
        at += GOLDEN
        bits = mixed(at)
        layer = np.int64(bits & np.uint64(LAYERS - 1))
        x = (2.0 * unit(bits) - 1.0) * EDGES[layer]
        if abs(x) < EDGES[layer + 1]:
            return x, at
        if layer == 0:
            while True:
                at += GOLDEN
                deep = -math.log(unit(mixed(at))) / TAIL_START
                at += GOLDEN
                if -2.0 * math.log(unit(mixed(at))) >= deep * deep:
                    return math.copysign(TAIL_START + deep, x), at
        at += GOLDEN
        step = HEIGHTS[layer + 1] - HEIGHTS[layer]
        if HEIGHTS[layer] + unit(mixed(at)) * step < math.exp(-0.5 * x * x):
            return x, at


@kernel
def poisson(mean, at):
    """Return a Poisson draw as float64 and the next counter.

    Below 10 by products of uniforms, below `EXACT_BELOW` by transformed rejection
    (PTRS; Hörmann 1993, doi:10.1016/0167-6687(93)90997-4), both exact. Above, a
    normal draw bent by the third-order Cornish-Fisher expansion and rounded: mean
    and variance are exact, and the distribution function is right to 1e-3.
    """
    if mean < 10.0:
        limit, product, count = math.exp(-mean), 1.0, -1.0
        while product > limit or count < 0.0:
            at += GOLDEN
            product *= unit(mixed(at))
            count += 1.0
        return count, at
    root = math.sqrt(mean)
    if mean >= EXACT_BELOW:
        z, at = normal(at)
        root = math.sqrt(mean - 1.0 / 12.0)  # rounding adds a twelfth
        bent = mean + root * z + (z * z - 1.0) / 6.0 + (z - z * z * z) / (72.0 * root)
        return math.floor(max(bent, 0.0) + 0.5), at
    b = 0.931 + 2.53 * root
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
def expose_exact(
    rate_e, offset, adu_per_e, read_e, dark_e_per_s, exposure_s, seed, frame, out
):
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
            mean = rate_e[y, x] + dark_e_per_s[y, x] * exposure_s
            electrons, at = poisson(np.float64(mean), at)
            z, at = normal(at)
            electrons += read_e[y, x] * z
            count = offset[y, x] + adu_per_e[y, x] * electrons + 0.5
            out[y, x] = np.uint16(min(max(count, 0.0), 65535.0))


@kernel
def moments(rate_e, offset, adu_per_e, read_e, dark_e_per_s, exposure_s, out):
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
def expose_fast(mean_adu, sd_adu, bank, seed, frame, out):
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
