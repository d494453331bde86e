"""Compiled loops of the simulator: lives of dyes, images of dyes, noise of pixels.

Arrays in, arrays filled. Random numbers come from counters, never from a state that
outlives a call, so that what is drawn depends on what is drawn for, not on the order.
"""

import math

import numpy as np
from numba import njit

kernel = njit(nogil=True, cache=True, error_model="numpy", fastmath=False)

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
ONE = np.uint64(1)
LATENT, BRIGHT, DARK, BLINK, DEAD = 0, 1, 2, 3, 4
LAYERS = 256
TAIL_START = 3.6541528853610088
LAYER_AREA = 0.00492867323399
EXACT_BELOW = 48.0
"""Poisson means below this are drawn exactly, above by the Cornish-Fisher expansion."""


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
def exponential(key, step):
    """Return the exponential draw number ``step`` of the stream ``key``, mean 1."""
    return -math.log(unit(mixed(key + (np.uint64(step) + ONE) * GOLDEN)))


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


@kernel
def advance(
    index,
    dt_s,
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
    on_dose,
):
    """Let light of ``dt_s`` seconds fall on dyes and note the dose taken while on.

    Parameters
    ----------
    index : int64 array, (n,); which dyes
    dt_s : float
    rate, latent_rate : float64 array, (dyes,); dose per second, after and before
        conversion
    kinetics : float64 array, (species, 4); on, off, life dose, survival
    ageing : float; lives are divided by it, dark states multiplied
    species, key, pace, state, step, dose, until, death : arrays, (dyes,); see
        photophysics.Emitters; the last five are updated
    on_dose : float64 array, (n,); filled
    """
    for n in range(index.size):
        i = index[n]
        on_dose[n] = 0.0
        now = state[i]
        if now == DEAD:
            continue
        on, off, life, survival = kinetics[species[i]]
        if now == LATENT:
            dose[i] += latent_rate[i] * dt_s
            if dose[i] >= until[i]:
                state[i] = DARK
                dose[i] = 0.0
                death[i] = life / ageing * exponential(key[i], step[i])
                until[i] = off * ageing * pace[i] * exponential(key[i], step[i] + 1)
                step[i] += 2
            continue
        at, end = dose[i], dose[i] + rate[i] * dt_s
        while until[i] <= end and now != DEAD:
            turn = until[i]
            if now != DARK:
                on_dose[n] += turn - at
            at = turn
            if now == BRIGHT:
                death[i] = turn + life / ageing * exponential(key[i], step[i])
                step[i] += 1
                if math.exp(-exponential(key[i], step[i])) > survival:
                    death[i] = turn
                step[i] += 1
            if turn >= death[i]:
                now = DEAD
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
            on_dose[n] += end - at
        dose[i] = end
        state[i] = now


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


@kernel
def _profile(centre, sigma, low, count, weights):
    """Fill ``weights`` with the share of a Gaussian in ``count`` pixels from ``low``."""
    scale = 1.0 / (math.sqrt(2.0) * sigma)
    before = math.erf((low - 0.5 - centre) * scale)
    for n in range(count):
        after = math.erf((low + n + 0.5 - centre) * scale)
        weights[n] = 0.5 * (after - before)
        before = after


@kernel
def add_spot(image, y, x, sigma, electrons, weights):
    """Add an integrated Gaussian to ``image``, cut off beyond 4.5 sigma.

    Parameters
    ----------
    image : float32 array, (height, width), updated
    y, x, sigma : float; pixels, the first pixel's centre at 0
    electrons : float; in the whole spot
    weights : float64 array, (2, room); scratch, as wide as the widest spot
    """
    height, width = image.shape
    reach = math.ceil(4.5 * sigma)
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    bottom, right = min(height, round(y) + reach + 1), min(width, round(x) + reach + 1)
    rows, columns = int(bottom - top), int(right - left)
    if rows <= 0 or columns <= 0 or rows > weights.shape[1]:
        return
    if columns > weights.shape[1]:
        return
    _profile(y, sigma, top, rows, weights[0])
    _profile(x, sigma, left, columns, weights[1])
    for j in range(rows):
        share = electrons * weights[0, j]
        line = image[int(top) + j]
        for i in range(columns):
            line[int(left) + i] += np.float32(share * weights[1, i])


@kernel
def draw(
    image,
    index,
    bounds,
    electrons,
    y,
    x,
    focus,
    sigma,
    depth,
    shift,
    merge_sigma,
    weights,
):
    """Add dyes to an image, group by group.

    A group as wide as ``merge_sigma`` is drawn as one spot with the group's centre
    and second moment: its dyes lie much closer than they are wide.

    Parameters
    ----------
    image : float32 array, (height, width), updated
    index : int64 array, (n,); dyes, the members of a group side by side
    bounds : int64 array, (groups + 1,); where groups start in ``index``
    electrons : float64 array, (n,)
    y, x, focus : float64 array, (dyes,); pixels, pixels, um from the plane in focus
    sigma : float64 array, (dyes,); in focus, pixels
    depth : float; um of defocus that widen a spot by sqrt(2)
    shift : float64 array, (3,); y, x in pixels and focus in um, added
    merge_sigma : float; pixels
    weights : float64 array, (2, room); scratch
    """
    for group in range(bounds.size - 1):
        start, stop = bounds[group], bounds[group + 1]
        total, mid_y, mid_x, mid_z, spread = 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(start, stop):
            if electrons[n] > 0.0:
                i = index[n]
                total += electrons[n]
                mid_y += electrons[n] * y[i]
                mid_x += electrons[n] * x[i]
                mid_z += electrons[n] * focus[i]
                spread += electrons[n] * (y[i] * y[i] + x[i] * x[i])
        if total <= 0.0:
            continue
        mid_y, mid_x, mid_z = mid_y / total, mid_x / total, mid_z / total
        spread = max(0.5 * (spread / total - mid_y * mid_y - mid_x * mid_x), 0.0)
        defocus = (mid_z + shift[2]) / depth
        base = sigma[index[start]]
        wide = base * math.sqrt(1.0 + defocus * defocus)
        if wide >= merge_sigma:
            whole = math.sqrt(wide * wide + spread)
            at_y, at_x = mid_y + shift[0], mid_x + shift[1]
            add_spot(image, at_y, at_x, whole, total, weights)
            continue
        for n in range(start, stop):
            if electrons[n] > 0.0:
                i = index[n]
                defocus = (focus[i] + shift[2]) / depth
                wide = sigma[i] * math.sqrt(1.0 + defocus * defocus)
                at_y, at_x = y[i] + shift[0], x[i] + shift[1]
                add_spot(image, at_y, at_x, wide, electrons[n], weights)


@kernel
def compose(out, amplitude, coarse, used, row, row_weight, column, column_weight):
    """Fill ``out`` with the sum of maps, each times a factor known on a coarse grid.

    Parameters
    ----------
    out : float32 array, (height, width), filled
    amplitude : float32 array, (maps, height, width)
    coarse : float32 array, (maps, rows, columns)
    used : int64 array; which maps
    row, column : int32 array, (height,), (width,); grid cell above or left
    row_weight, column_weight : float32 array; weight of the next cell
    """
    height, width = out.shape
    line = np.empty(coarse.shape[2], np.float32)
    for y in range(height):
        for x in range(width):
            out[y, x] = 0.0
        j, v = row[y], row_weight[y]
        for m in used:
            for i in range(coarse.shape[2]):
                above, below = coarse[m, j, i], coarse[m, j + 1, i]
                line[i] = above + v * (below - above)
            for x in range(width):
                i = column[x]
                factor = line[i] + column_weight[x] * (line[i + 1] - line[i])
                out[y, x] += amplitude[m, y, x] * factor


@kernel
def _lattice(i, j, seed):
    """Return a uniform draw for a lattice point."""
    place = np.uint64(i) * GOLDEN + np.uint64(j) * MIX_2
    return unit(mixed(seed + mixed(place)))


@kernel
def add_noise(out, y0, x0, step_y, step_x, seed, gain):
    """Add smooth noise with values in 0..gain to ``out``.

    Parameters
    ----------
    out : float32 array, (height, width), updated
    y0, x0 : float; lattice position of pixel (0, 0)
    step_y, step_x : float; lattice cells per pixel
    seed : uint64
    gain : float
    """
    height, width = out.shape
    for y in range(height):
        v = y0 + y * step_y
        j = math.floor(v)
        v = v - j
        v = v * v * (3.0 - 2.0 * v)
        last, left, right = math.floor(x0) - 2, 0.0, 0.0
        for x in range(width):
            u = x0 + x * step_x
            i = math.floor(u)
            if i != last:
                a, b = _lattice(np.int64(i), np.int64(j), seed), 0.0
                b = _lattice(np.int64(i), np.int64(j) + 1, seed)
                left = a + v * (b - a)
                a = _lattice(np.int64(i) + 1, np.int64(j), seed)
                b = _lattice(np.int64(i) + 1, np.int64(j) + 1, seed)
                right = a + v * (b - a)
                last = i
            u = u - i
            u = u * u * (3.0 - 2.0 * u)
            out[y, x] += np.float32(gain * (left + u * (right - left)))
