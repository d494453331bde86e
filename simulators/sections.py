"""Crowded sections: nuclei of the slide pushed together, as the DAPI camera sees them.

The slide of the microscope is loose, so that its nuclei can be scored. Here they are
set side by side and partly over each other, cut by the same knife and drawn by the
same light, with the outline of every nucleus as truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simulators.cells import SITES, Nucleus, Tissue, nuclei_of
from simulators.kinds import KINDS
from simulators.loci import joined
from simulators.options import SimulationOptions
from simulators.specimen import Specimen, Tile
from simulators.tissue import GLOWS, Grid, cut_of, maps

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

BLUE = 0
"""The place of the 405 nm laser in the photons of a glow."""
FAINTEST_UM = 0.15
"""Thinner is no nucleus to anybody: the edge of a cap."""
GAP_UM = (-0.8, 0.4)
"""Between a nucleus and the one it is set beside; below zero they overlap."""
OVERLAP = 0.12
"""Largest part of a nucleus that lies over others."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How a section is filled and looked at."""

    nuclei: int = 45
    beside: float = 0.8
    """Chance that a nucleus is set beside another one."""
    frames: int = 100
    """Whose mean is the image."""
    power: float = 0.2
    defocus_um: float = 0.0


@dataclass(frozen=True, slots=True)
class Section:
    """One image and its truth."""

    adu: F32
    """Mean of the frames, shape (height, width)."""
    labels: I32
    """From 1; where nuclei overlap, the thicker one."""
    overlaps: F64
    """By label from 1: part of the nucleus that lies over or under others."""


def section(options: SimulationOptions, crowd: Crowd) -> Section:
    """Return a crowded section; everything follows from the seed of the options."""
    rng = np.random.default_rng([options.seed, crowd.nuclei])
    pixel = options.pixel_um
    half = options.width * pixel / 2.0, options.height * pixel / 2.0
    grid = Grid(
        -half[0], -half[1], options.height, options.width, pixel, crowd.defocus_um
    )
    nuclei = _pushed_together(_some(options, crowd.nuclei * 3, rng), crowd, half, rng)
    specimen = Specimen(options)
    found = maps(specimen, [Tile(0, tuple(nuclei), joined([]))], grid, options)
    labels, overlaps = _truth(nuclei, grid, options.sample.section_um)
    return Section(_exposed(found, options, crowd, rng), labels, overlaps)


def _some(
    options: SimulationOptions, wanted: int, rng: np.random.Generator
) -> list[Nucleus]:
    """Return nuclei of the options' kind of slide, wherever they lie on it."""
    tissue = Tissue(
        KINDS[options.specimen],
        options.sample.section_um,
        Specimen(options).is_invasive,
    )
    found: list[Nucleus] = []
    while len(found) < wanted:
        found += nuclei_of(tissue, (0, 0), len(found) * SITES, rng)
    return found


def _pushed_together(
    nuclei: Sequence[Nucleus],
    crowd: Crowd,
    half_um: tuple[float, float],
    rng: np.random.Generator,
) -> list[Nucleus]:
    """Return as many nuclei as wanted, where they find room."""
    placed: list[Nucleus] = []
    for nucleus in nuclei:
        if len(placed) == crowd.nuclei:
            break
        for _ in range(20):
            moved = _moved(nucleus, placed, crowd.beside, half_um, rng)
            if all(_covered(moved, other) <= OVERLAP for other in placed):
                placed.append(moved)
                break
    return placed


def _moved(
    nucleus: Nucleus,
    placed: Sequence[Nucleus],
    beside: float,
    half_um: tuple[float, float],
    rng: np.random.Generator,
) -> Nucleus:
    """Return a nucleus beside one that is placed, or anywhere."""
    angle = rng.uniform(0.0, math.pi)
    nucleus = replace(nucleus, angle_rad=angle)
    if placed and rng.random() < beside:
        other = placed[int(rng.integers(len(placed)))]
        turn = rng.uniform(0.0, 2.0 * math.pi)
        away = _reach(other, turn) + _reach(nucleus, turn) + rng.uniform(*GAP_UM)
        x = other.x_um + away * math.cos(turn)
        y = other.y_um + away * math.sin(turn)
        if abs(x) < half_um[0] and abs(y) < half_um[1]:
            return replace(nucleus, x_um=x, y_um=y)
    x, y = (rng.uniform(-half, half) for half in half_um)
    return replace(nucleus, x_um=x, y_um=y)


def _reach(nucleus: Nucleus, turn_rad: float) -> float:
    """Return the radius of the cut outline along a direction."""
    turn = turn_rad - nucleus.angle_rad
    a, b = nucleus.outline_a_um, nucleus.outline_b_um
    return a * b / math.hypot(b * math.cos(turn), a * math.sin(turn))


def _covered(one: Nucleus, other: Nucleus) -> float:
    """Return the larger part of two outlines that the other covers, by sampling."""
    away = math.hypot(one.x_um - other.x_um, one.y_um - other.y_um)
    if away > one.outline_a_um + other.outline_a_um:
        return 0.0
    most = 0.0
    for inner, outer in ((one, other), (other, one)):
        radius, turn = np.meshgrid(
            np.sqrt(np.linspace(0.02, 1.0, 12)), np.linspace(0, 2 * np.pi, 24)
        )
        u = inner.outline_a_um * radius * np.cos(turn)
        v = inner.outline_b_um * radius * np.sin(turn)
        cos, sin = math.cos(inner.angle_rad), math.sin(inner.angle_rad)
        x, y = inner.x_um + u * cos - v * sin, inner.y_um + u * sin + v * cos
        most = max(most, float(_inside(outer, x, y).mean()))
    return most


def _inside(nucleus: Nucleus, x_um: F64, y_um: F64) -> npt.NDArray[np.bool_]:
    dx, dy = x_um - nucleus.x_um, y_um - nucleus.y_um
    cos, sin = math.cos(nucleus.angle_rad), math.sin(nucleus.angle_rad)
    u = (dx * cos + dy * sin) / nucleus.outline_a_um
    v = (dy * cos - dx * sin) / nucleus.outline_b_um
    return np.asarray(u * u + v * v < 1.0)


def _truth(nuclei: Sequence[Nucleus], grid: Grid, section_um: float) -> tuple[I32, F64]:
    """Return labels of the thickest nucleus of every pixel, and overlaps by label."""
    labels = np.zeros((grid.height, grid.width), np.int32)
    thickest = np.full(labels.shape, FAINTEST_UM, np.float32)
    layers = np.zeros(labels.shape, np.int32)
    boxes = []
    for number, nucleus in enumerate(nuclei, 1):
        box, inside = cut_of(nucleus, grid, section_um)
        covered = inside > FAINTEST_UM
        layers[box] += covered
        above = inside > thickest[box]
        labels[box][above] = number
        thickest[box][above] = inside[above]
        boxes.append((box, covered))
    shares = [
        float(np.mean(layers[box][covered] > 1)) if covered.any() else 0.0
        for box, covered in boxes
    ]
    kept = np.unique(labels[labels > 0])
    renumbered = np.zeros(len(nuclei) + 1, np.int32)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    return renumbered[labels], np.array([shares[k - 1] for k in kept])


def _exposed(
    found: F32, options: SimulationOptions, crowd: Crowd, rng: np.random.Generator
) -> F32:
    """Return the mean of the frames, in counts of the camera."""
    camera = options.camera
    rates = np.array([g.photons[BLUE] for g in GLOWS]) * crowd.power
    electrons = camera.quantum_efficiency * np.tensordot(rates, found, 1)
    light = rng.poisson(electrons * crowd.frames) / crowd.frames
    noise = rng.normal(0.0, camera.read_noise_e / math.sqrt(crowd.frames), light.shape)
    adu = (light + noise) / camera.e_per_adu + camera.offset_adu
    return np.asarray(adu, np.float32)
