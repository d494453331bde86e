"""Loci: copies of HER2 and CEP17 inside nuclei, and the signals that a probe makes.

A copy whose sister chromatids lie apart makes two signals. Loci outside the section
are listed too: they belong to the cell, but are not on the slide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.cells import Nucleus
from simulators.kinds import Kind

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

SIGNALS_PER_NUCLEUS = 512
CORE = 0.93
"""Loci keep off the envelope: they fill the ellipsoid shrunk by this factor."""
APART_UM = 0.5
"""Dispersed copies keep this distance: chromosome territories do not mix."""
CLUSTER_UM = 0.45
"""Sd of a cluster of copies."""
SISTERS_UM = (0.2, 0.8)
"""Distance of sister signals."""
LABEL_SPREAD = 0.3
"""Log sd of the dyes that bind to a signal."""


@dataclass(frozen=True, slots=True)
class Loci:
    """Signals, one entry each; every array has shape (signals,)."""

    signal: I32
    copy: I32
    """Number of the copy's first signal: sisters share it."""
    nucleus: I32
    is_her2: Mask
    x_um: F64
    y_um: F64
    z_um: F64
    in_section: Mask
    doublet: Mask
    label: F64
    """Dyes that bind, relative to a good hybridization."""


def loci_of(
    nucleus: Nucleus, kind: Kind, section_um: float, rng: np.random.Generator
) -> Loci:
    """Return the signals of one nucleus."""
    is_tumour = nucleus.kind == "tumour"
    her2, cep17 = (kind.her2, kind.cep17) if is_tumour else ((2, 2), (2, 2))
    many = int(rng.integers(her2[0], her2[1] + 1))
    few = int(rng.integers(cep17[0], cep17[1] + 1))
    clustered = int(rng.binomial(many, kind.clustered)) if is_tumour else 0
    points = _dispersed(nucleus, many - clustered + few, rng)
    points = np.concatenate([points, _cluster(nucleus, clustered, rng)])
    # CEP17 first: it never doubles, so its signals are its copies
    is_her2 = np.arange(len(points)) >= few
    halves = _sisters(nucleus, kind, is_her2, rng)
    return _signals(nucleus, kind, section_um, (points, is_her2, halves), rng)


def joined(parts: Sequence[Loci]) -> Loci:
    """Return the signals of many nuclei as one table."""
    names = Loci.__slots__
    if not parts:
        return _empty()
    return Loci(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names})


def _empty() -> Loci:
    numbers, masks = np.zeros(0, np.int32), np.zeros(0, bool)
    lengths = np.zeros(0)
    return Loci(
        signal=numbers,
        copy=numbers,
        nucleus=numbers,
        is_her2=masks,
        x_um=lengths,
        y_um=lengths,
        z_um=lengths,
        in_section=masks,
        doublet=masks,
        label=lengths,
    )


def _dispersed(nucleus: Nucleus, count: int, rng: np.random.Generator) -> F64:
    """Return points in the ellipsoid that keep apart, shape (count, 3): x, y, z."""
    points = np.zeros((count, 3))
    for n in range(count):
        for _ in range(30):
            points[n] = _inside(nucleus, rng)
            gaps = np.linalg.norm(points[:n] - points[n], axis=1)
            if not np.any(gaps < APART_UM):
                break
    return points


def _cluster(nucleus: Nucleus, count: int, rng: np.random.Generator) -> F64:
    centre = _inside(nucleus, rng)
    points = centre + CLUSTER_UM * rng.standard_normal((count, 3))
    return np.asarray([_pulled_in(nucleus, p) for p in points]).reshape(count, 3)


def _inside(nucleus: Nucleus, rng: np.random.Generator) -> F64:
    """Return a point drawn uniformly from the shrunk ellipsoid, on the slide."""
    direction = rng.standard_normal(3)
    unit = direction / np.linalg.norm(direction) * rng.random() ** (1.0 / 3.0)
    return _placed(nucleus, unit * CORE)


def _placed(nucleus: Nucleus, unit: F64) -> F64:
    """Return a point of the unit ball where it lies in the nucleus."""
    u, v = unit[0] * nucleus.a_um, unit[1] * nucleus.b_um
    cos, sin = math.cos(nucleus.angle_rad), math.sin(nucleus.angle_rad)
    return np.array(
        [
            nucleus.x_um + u * cos - v * sin,
            nucleus.y_um + u * sin + v * cos,
            nucleus.z_um + unit[2] * nucleus.c_um,
        ]
    )


def _pulled_in(nucleus: Nucleus, point: F64) -> F64:
    """Return ``point``, moved towards the centre if it lies outside the nucleus."""
    dx, dy = point[0] - nucleus.x_um, point[1] - nucleus.y_um
    cos, sin = math.cos(nucleus.angle_rad), math.sin(nucleus.angle_rad)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    unit = np.array(
        [u / nucleus.a_um, v / nucleus.b_um, (point[2] - nucleus.z_um) / nucleus.c_um]
    )
    radius = float(np.linalg.norm(unit))
    return _placed(nucleus, unit * min(1.0, CORE / max(radius, 1e-9)))


def _sisters(
    nucleus: Nucleus, kind: Kind, is_her2: Mask, rng: np.random.Generator
) -> F64:
    """Return half the way from sister to sister; zero where there is one signal."""
    count = len(is_her2)
    direction = rng.standard_normal((count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = rng.uniform(*SISTERS_UM, count)
    apart = is_her2 & (rng.random(count) < kind.doublets)
    if nucleus.phase != "S/G2":
        apart[:] = False
    return np.asarray(0.5 * direction * np.where(apart, distance, 0.0)[:, None])


def _signals(
    nucleus: Nucleus,
    kind: Kind,
    section_um: float,
    copies: tuple[F64, Mask, F64],
    rng: np.random.Generator,
) -> Loci:
    """Return one row a signal from points, probes and half distances of the copies."""
    points, is_her2, halves = copies
    doubled: Mask = np.asarray(halves.any(axis=1), bool)
    times = np.where(doubled, 2, 1)
    owner = np.repeat(np.arange(len(points)), times)
    first = np.repeat(np.cumsum(times) - times, times)
    side = np.where(np.arange(len(owner)) == first, -1.0, 1.0)
    places = points[owner] + side[:, None] * halves[owner]
    z = places[:, 2]
    base = nucleus.nucleus * SIGNALS_PER_NUCLEUS
    good = np.where(is_her2[owner], kind.her2_label, kind.cep17_label)
    spread = rng.lognormal(-0.5 * LABEL_SPREAD**2, LABEL_SPREAD, len(owner))
    return Loci(
        signal=(base + np.arange(len(owner))).astype(np.int32),
        copy=(base + first).astype(np.int32),
        nucleus=np.full(len(owner), nucleus.nucleus, np.int32),
        is_her2=is_her2[owner],
        x_um=places[:, 0],
        y_um=places[:, 1],
        z_um=z,
        in_section=(z >= 0.0) & (z <= section_um),
        doublet=doubled[owner],
        label=good * spread * float(nucleus.reached),
    )
