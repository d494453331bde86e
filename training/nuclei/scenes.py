"""Simulated sections: cut, touching, overlapping nuclei in noise and haze.

Made to be wider than life, so that the network meets more than one laboratory's
slides. Shares no code with the simulated microscope, on which it is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

HARMONICS = np.arange(2, 6)
"""Of an outline, over a plain ellipse."""


@dataclass(frozen=True, slots=True)
class Style:
    """What one section looks like; lengths in pixels."""

    diameter: float
    section: float
    """Thickness of the cut."""
    crowding: float
    """Chance that a nucleus is set beside another one."""
    overlap: float
    """Largest part of a nucleus that may lie over others."""
    elongated: float
    """Fraction of spindle-shaped nuclei."""
    chromatin: float
    """Relative sd of the texture."""
    roughness: float
    """Relative sd of each harmonic of an outline."""


def scene(rng: np.random.Generator, size: int = 384) -> tuple[F64, I32]:
    """Return one image, shape (size, size), any unit, and its labels from 1."""
    style = Style(
        diameter=rng.uniform(30.0, 48.0),
        section=rng.uniform(0.22, 0.9) * 40.0,
        crowding=rng.uniform(0.2, 0.95),
        overlap=rng.uniform(0.0, 0.15),
        elongated=rng.choice([0.0, 0.1, 0.3]),
        chromatin=rng.uniform(0.05, 0.35),
        roughness=rng.uniform(0.0, 0.04),
    )
    light, labels = _nuclei(style, size, rng)
    return _exposed(light, style, rng), labels


def _nuclei(style: Style, size: int, rng: np.random.Generator) -> tuple[F64, I32]:
    """Return the light of all nuclei, unblurred, and labels of the brightest."""
    light = np.zeros((size, size))
    top = np.zeros((size, size))
    labels = np.zeros((size, size), np.int32)
    places: list[tuple[float, float, float]] = []
    wanted = int(rng.uniform(0.25, 1.1) * size**2 / style.diameter**2)
    for number in range(1, wanted + 1):
        place = _place(places, style, size, rng)
        box, inside = _nucleus(place, style, size, rng)
        covered = inside > 0
        if not covered.any():
            continue
        if np.mean(labels[box][covered] > 0) > style.overlap:
            continue
        glow = inside * _chromatin(inside.shape, style, rng) * rng.lognormal(0, 0.3)
        light[box] += glow
        above = covered & (inside > top[box])
        labels[box][above] = number
        top[box][above] = inside[above]
        places.append(place)
    return light, labels


def _place(
    places: list[tuple[float, float, float]],
    style: Style,
    size: int,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Return y, x and the radius of a new nucleus, beside another one or anywhere."""
    radius = style.diameter / 2 * rng.lognormal(0.0, 0.2)
    if places and rng.random() < style.crowding:
        y, x, other = places[rng.integers(len(places))]
        turn = rng.uniform(0, 2 * np.pi)
        away = (radius + other) * rng.uniform(0.8, 1.15)
        return y + away * np.sin(turn), x + away * np.cos(turn), radius
    return rng.uniform(0, size), rng.uniform(0, size), radius


def _nucleus(
    place: tuple[float, float, float],
    style: Style,
    size: int,
    rng: np.random.Generator,
) -> tuple[tuple[slice, slice], F64]:
    """Return a box of the image and how thick the cut nucleus is in it."""
    y, x, radius = place
    spindle = rng.random() < style.elongated
    ratio = rng.uniform(0.35, 0.5) if spindle else rng.uniform(0.7, 1.0)
    a, b = radius / np.sqrt(ratio), radius * np.sqrt(ratio)
    c = b * rng.uniform(0.6, 1.0)
    reach = int(1.3 * a) + 2
    rows = np.arange(max(0, int(y) - reach), min(size, int(y) + reach))
    columns = np.arange(max(0, int(x) - reach), min(size, int(x) + reach))
    if not (rows.size and columns.size):
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0))
    dy, dx = (rows - y)[:, None], (columns - x)[None, :]
    tilt = rng.uniform(0, np.pi)
    u = (dx * np.cos(tilt) + dy * np.sin(tilt)) / a
    v = (dy * np.cos(tilt) - dx * np.sin(tilt)) / b
    around = np.arctan2(v, u)
    sizes = rng.normal(0, style.roughness, HARMONICS.size)
    phases = rng.uniform(0, 2 * np.pi, HARMONICS.size)
    outline = np.ones_like(around)
    for k, amount, phase in zip(HARMONICS, sizes, phases, strict=True):
        outline += amount * np.cos(k * around + phase)
    half = c * np.sqrt(np.clip(1 - (np.hypot(u, v) / outline) ** 2, 0, None))
    z = rng.uniform(-0.65 * c, style.section + 0.65 * c)
    bottom, upper = np.maximum(z - half, 0), np.minimum(z + half, style.section)
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return box, np.clip(upper - bottom, 0, None)


def _chromatin(shape: tuple[int, ...], style: Style, rng: np.random.Generator) -> F64:
    """Return a texture of mean 1, with a nucleolus or two."""
    grain = _smooth_noise(shape, style.diameter / rng.uniform(6, 20), rng)
    texture = np.clip(1 + style.chromatin * grain, 0.1, None)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for _ in range(rng.integers(0, 3)):
        y, x = rng.uniform(0.3, 0.7, 2) * shape
        hole = np.hypot(rows - y, columns - x) < style.diameter * rng.uniform(0.05, 0.1)
        texture = np.where(hole, texture * rng.uniform(0.4, 0.9), texture)
    return np.asarray(texture, np.float64)


def _exposed(light: F64, style: Style, rng: np.random.Generator) -> F64:
    """Return what a camera makes of it: blur, haze, background, specks, noise."""
    size = light.shape[0]
    sigma = rng.uniform(0.5, 2.5) if rng.random() < 0.8 else rng.uniform(2.5, 5.0)
    image = ndimage.gaussian_filter(light, sigma)
    bright = np.percentile(image, 99) + 1e-9
    image = image / bright
    image += rng.uniform(0, 0.5) * ndimage.gaussian_filter(image, style.diameter / 3)
    broad = _smooth_noise(light.shape, rng.uniform(0.5, 3) * style.diameter, rng)
    fine = _smooth_noise(light.shape, rng.uniform(0.05, 0.3) * style.diameter, rng)
    tissue = np.clip(1 + 0.4 * broad + rng.uniform(0, 0.4) * fine, 0, None)
    image += rng.uniform(0.02, 0.4) * tissue
    for _ in range(rng.poisson(rng.choice([0, 3, 12]))):
        y, x = rng.integers(0, size, 2)
        speck = np.zeros((size, size))
        speck[y, x] = rng.uniform(5, 60)
        image += ndimage.gaussian_filter(speck, rng.uniform(1.0, 2.5), truncate=3)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    image *= 1 - rng.uniform(0, 0.5) * np.hypot(rows, columns)
    photons = 10 ** rng.uniform(1.3, 3.5)
    noisy = rng.poisson(np.clip(image, 0, None) * photons) / photons
    return np.asarray(noisy + rng.normal(0, rng.uniform(0, 0.02), image.shape))


def _smooth_noise(
    shape: tuple[int, ...], sigma: float, rng: np.random.Generator
) -> F64:
    """Return noise of sd 1 with features of a size."""
    coarse = max(1, int(sigma))
    small = rng.normal(size=[side // coarse + 6 for side in shape])
    small = ndimage.gaussian_filter(small, 1.0)
    wide = ndimage.zoom(small, coarse, order=1)[: shape[0], : shape[1]]
    return np.asarray((wide - wide.mean()) / (wide.std() + 1e-9), np.float64)
