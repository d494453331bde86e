"""Nuclei: what they are like, and where they lie in a tile of the slide.

Knows the kind of slide and nothing of loci, dyes or light.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from simulators.kinds import Kind

PITCH_UM = 13.2
"""Distance between neighbouring sites of cells."""
SITES = 4
"""Sites along one side of a tile."""
ROW_UM = PITCH_UM * math.sqrt(3.0) / 2.0
EMPTY = 0.06
"""Fraction of sites without a nucleus."""
JITTER_UM = 1.5
PAIRED = 0.22
"""Fraction of neighbouring pairs that touch."""
REACH_Z = 0.62
"""A nucleus is in the section when its centre is within this many semi-axes of it.

Thinner caps would be slivers that neither an eye nor a stain shows.
"""

GRAZED_Z = 0.42
"""In a grazed section centres lie at least `REACH_Z` less this many semi-axes out."""

IsInvasive = Callable[[float, float], bool]


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One nucleus: an ellipsoid with a vertical axis. Angles from x towards y."""

    nucleus: int
    kind: str
    region: str
    x_um: float
    y_um: float
    z_um: float
    a_um: float
    b_um: float
    c_um: float
    angle_rad: float
    outline_a_um: float
    outline_b_um: float
    phase: str
    cut: bool
    reached: bool
    """Whether the probe got in."""
    stain: float
    """DAPI, relative to the mean of all."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """What decides about the nuclei of a slide."""

    kind: Kind
    section_um: float
    is_invasive: IsInvasive


def nuclei_of(
    tissue: Tissue, tile: tuple[int, int], first: int, rng: np.random.Generator
) -> list[Nucleus]:
    """Return the nuclei of a tile on a jittered hexagonal lattice.

    Parameters
    ----------
    tissue : Tissue
        Of the whole slide.
    tile : pair of int
        Column and row of the tile.
    first : int
        Number of the tile's first site; a nucleus is named after its site.
    rng : numpy.random.Generator
        Of this tile alone.
    """
    found: list[Nucleus] = []
    for row in range(SITES):
        y = (tile[1] * SITES + row) * ROW_UM
        line: list[Nucleus | None] = []
        for column in range(SITES):
            x = (tile[0] * SITES + column + 0.5 * (row % 2)) * PITCH_UM
            line.append(_cell(tissue, x, y, first + row * SITES + column, rng))
        found += [n for n in _paired(line, rng) if n is not None]
    return found


def _paired(
    line: list[Nucleus | None], rng: np.random.Generator
) -> list[Nucleus | None]:
    """Return a row of sites with some neighbours pulled together.

    Pairs stay inside their tile, or the order of visits would matter.
    """
    for left in range(0, SITES, 2):
        close = rng.random() < PAIRED
        one, other = line[left], line[left + 1]
        if close and one is not None and other is not None:
            line[left + 1] = _touching(one, other)
    return line


def _cell(
    tissue: Tissue, x_um: float, y_um: float, number: int, rng: np.random.Generator
) -> Nucleus | None:
    if rng.random() < EMPTY:
        return None
    jitter, turn = JITTER_UM * math.sqrt(rng.random()), rng.uniform(0.0, 2.0 * math.pi)
    x, y = x_um + jitter * math.cos(turn), y_um + jitter * math.sin(turn)
    invasive = tissue.is_invasive(x, y)
    kind = _kind_of_cell(tissue.kind, invasive, rng)
    a, b, c = _axes(kind, rng)
    section = tissue.section_um
    z = rng.uniform(-REACH_Z * c, section + REACH_Z * c)
    if tissue.kind.grazed:
        z = _grazed_um(z, c, section)
    widest = min(max(z, 0.0), section)
    waist = math.sqrt(1.0 - ((widest - z) / c) ** 2)
    replicated = rng.random() < tissue.kind.replicated and kind == "tumour"
    return Nucleus(
        nucleus=number,
        kind=kind,
        region="invasive" if invasive else "other",
        x_um=x,
        y_um=y,
        z_um=z,
        a_um=a,
        b_um=b,
        c_um=c,
        angle_rad=rng.uniform(0.0, math.pi),
        outline_a_um=a * waist,
        outline_b_um=b * waist,
        phase="S/G2" if replicated else "G1",
        cut=z - c < 0.0 or z + c > section,
        reached=bool(rng.random() < tissue.kind.reached),
        stain=float(rng.lognormal(0.0, 0.12)),
    )


def _grazed_um(z_um: float, c_um: float, section_um: float) -> float:
    """Return a centre beyond the nearer face, as far as a sliver that still shows."""
    middle = section_um / 2.0
    nearness = 1.0 - abs(z_um - middle) / (middle + REACH_Z * c_um)
    beyond = (REACH_Z - GRAZED_Z * nearness) * c_um
    return -beyond if z_um < middle else section_um + beyond


def _kind_of_cell(kind: Kind, invasive: bool, rng: np.random.Generator) -> str:
    draw = rng.random()
    if not kind.tumour:
        return "stroma" if draw < 0.3 else "normal"
    if invasive:
        return "stroma" if draw < kind.stroma else "tumour"
    return "stroma" if draw < 0.75 else "normal"


def _axes(kind: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the semi-axes in um: long, short, vertical."""
    if kind == "stroma":
        return rng.uniform(4.0, 5.5), rng.uniform(1.6, 2.4), rng.uniform(1.5, 2.2)
    largest = 6.0 if kind == "tumour" else 4.6
    a = rng.uniform(0.82, 1.0) * largest
    return a, a * rng.uniform(0.82, 0.97), rng.uniform(2.7, 3.3)


def _touching(left: Nucleus, right: Nucleus) -> Nucleus:
    """Return ``right``, moved along the line of centres until the outlines meet."""
    dx, dy = right.x_um - left.x_um, right.y_um - left.y_um
    turn = math.atan2(dy, dx)
    scale = (_support(left, turn) + _support(right, turn)) / math.hypot(dx, dy)
    return replace(right, x_um=left.x_um + dx * scale, y_um=left.y_um + dy * scale)


def _support(nucleus: Nucleus, turn_rad: float) -> float:
    """Return the reach of the outline along a direction."""
    turn = turn_rad - nucleus.angle_rad
    a, b = nucleus.outline_a_um, nucleus.outline_b_um
    return math.hypot(a * math.cos(turn), b * math.sin(turn))
