"""Dyes: how many sit on the slide, what excites them, and how they live.

Everything that light does to a dye is counted in dose: full-power laser seconds times
the dye's excitation by that laser. A dye's whole life is fixed by the seed and unfolds
with the dose, so light that no camera sees ages it in the same way.

Life of a dye: bright from the first photon on, for a dose that differs widely from dye
to dye (a gamma mixture of exponentials gives the stretched early decay of a probe);
then dark, with rare blinks, until it is bleached. DAPI joins late: 405 light turns
some of it into dyes that blink green under 488.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simulators.cells import Nucleus
from simulators.options import SimulationOptions
from simulators.specimen import Tile

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]

LASERS_NM = (405, 488, 561, 640)
FRAME_DOSE = 0.4 * 0.03
"""Dose of the published frame, 30 ms at 40 %, in full-power seconds."""
LATENT, BRIGHT, DARK, BLINK, DEAD = range(5)
GREEN, RED, CONVERTED = range(3)
DYES_PER_SIGNAL = 256
CONVERTIBLE_PER_UM3 = 1.0
"""DAPI that 405 light may convert, in a nucleus."""
CONVERSION_DOSE = 12.0
"""Dose of 405 light that converts 63 % of it, in full-power seconds."""


@dataclass(frozen=True, slots=True)
class Species:
    """One dye. Lengths of time in published frames at full excitation."""

    emission_nm: float
    excitation: tuple[float, float, float, float]
    """By laser, in the order of `LASERS_NM`; 1: the dye's own laser."""
    photons: float
    """Detected by a perfect camera in a published frame, while on."""
    bright_shape: float
    bright_frames: float
    """The mean dye's rate of leaving the bright state is shape / frames."""
    on_frames: float
    off_frames: float
    life_frames: float
    """Mean dose from the first dark state until bleached."""
    survives: float
    """Fraction that blinks at all after the bright state."""
    excess: float
    """Light in the bright state over that of a blink: a fragment of probe carries more
    than one fluorophore, and blinks with one."""


_FLUORESCEIN = Species(
    emission_nm=525.0,
    excitation=(0.06, 1.0, 0.004, 0.0),
    photons=375.0,
    bright_shape=1.4,
    bright_frames=285.0,
    on_frames=2.0,
    off_frames=50.0,
    life_frames=6000.0,
    survives=0.8,
    excess=1.5,
)
SPECIES = (
    _FLUORESCEIN,
    # Texas Red: 488 still excites an eighth of it, 561 hardly any fluorescein
    replace(_FLUORESCEIN, emission_nm=615.0, excitation=(0.03, 0.12, 1.0, 0.01)),
    # what 405 light makes of DAPI; it has no bright state
    Species(
        emission_nm=530.0,
        excitation=(0.3, 1.0, 0.01, 0.0),
        photons=250.0,
        bright_shape=1.0,
        bright_frames=1.0,
        on_frames=1.5,
        off_frames=250.0,
        life_frames=1500.0,
        survives=1.0,
        excess=1.0,
    ),
)
"""By number: GREEN on CEP17, RED on HER2, CONVERTED."""


@dataclass(slots=True)
class Emitters:
    """Dyes in the section, one entry each; every array has shape (emitters,).

    Doses are in full-power seconds, at factor 1 kinetics already scaled.
    """

    number: I64
    signal: I64
    """Number of the signal it is bound to; -1: none."""
    key: U64
    """Seed of everything that will happen to it."""
    species: U8
    x_um: F64
    y_um: F64
    z_um: F64
    brightness: F64
    """Photons per dose while on, relative to the species."""
    pace: F64
    """Length of its dark states, relative to the species."""
    state: U8
    step: U32
    """Transitions so far."""
    dose: F64
    until: F64
    """Dose of the next transition."""
    death: F64
    """Dose at which it is bleached; infinite before the first dark state."""

    def __len__(self) -> int:
        return len(self.number)

    def part(self, start: int, stop: int) -> Emitters:
        """Return copies of the entries from ``start`` up to ``stop``."""
        return Emitters(*(getattr(self, n)[start:stop].copy() for n in _NAMES))


_NAMES = tuple(Emitters.__slots__)


def joined(parts: list[Emitters]) -> Emitters:
    """Return many tables as one."""
    if not parts:
        return _table(np.zeros(0, np.int64), np.zeros((0, 3)), GREEN, 0)
    return Emitters(*(np.concatenate([getattr(p, n) for p in parts]) for n in _NAMES))


def kinetics(options: SimulationOptions) -> F64:
    """Return on, off and life dose, survival, excess by species, shape (species, 5).

    Life is divided by the kinetics factor; blinks and the gaps between them are not.
    A blink a factor shorter would spread the photons of one frame over a part of it,
    and no frame would look like a frame of the real movie any more.
    """
    rows = [
        (
            s.on_frames * FRAME_DOSE,
            s.off_frames * FRAME_DOSE,
            s.life_frames * FRAME_DOSE / options.kinetics_factor,
            s.survives,
            s.excess,
        )
        for s in SPECIES
    ]
    return np.array(rows)


def emitters_of(tile: Tile, options: SimulationOptions, haze: float) -> Emitters:
    """Return the dyes of a tile that lie in the section, none of them lit yet.

    Parameters
    ----------
    tile : Tile
        Of the specimen.
    options : SimulationOptions
        Of the whole simulation.
    haze : float
        Off-target probe of this kind of slide, 1: usual.
    """
    seed = np.array([options.seed, (1 << 32) + tile.number], np.uint64)
    rng = np.random.Generator(np.random.Philox(key=seed))
    parts = [_bound(tile, options, rng)]
    parts += [_strays(tile, species, options, haze, rng) for species in (GREEN, RED)]
    if options.sample.is_dapi_stained:
        parts += [_convertible(n, options, rng) for n in tile.nuclei]
    table = joined(parts)
    _age_zero(table, options, rng)
    return table


def _bound(
    tile: Tile, options: SimulationOptions, rng: np.random.Generator
) -> Emitters:
    """Return the dyes of the signals inside the section."""
    loci = tile.loci
    mean = options.sample.dyes_per_signal * loci.label * loci.in_section
    count = np.minimum(rng.poisson(mean), DYES_PER_SIGNAL - 1)
    owner = np.repeat(np.arange(len(count)), count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    centre = np.column_stack([loci.x_um, loci.y_um, loci.z_um])[owner]
    blob = options.sample.blob_nm / 1000.0
    places = centre + blob * rng.standard_normal((len(owner), 3))
    signal = loci.signal.astype(np.int64)[owner]
    table = _table(signal * DYES_PER_SIGNAL + rank, places, GREEN, options.seed)
    table.species[:] = np.where(loci.is_her2[owner], RED, GREEN)
    table.signal[:] = signal
    return table


def _strays(
    tile: Tile,
    species: int,
    options: SimulationOptions,
    haze: float,
    rng: np.random.Generator,
) -> Emitters:
    """Return dyes off target: some in nuclei, where the probe sticks best."""
    density = options.sample.strays_per_um2 * haze
    parts = []
    for n in tile.nuclei:
        area = np.pi * n.outline_a_um * n.outline_b_um
        count = int(rng.poisson(density * area * n.reached))
        numbers = _free_numbers(n, species, count)
        places = _in_section(n, count, options, rng)
        parts.append(_table(numbers, places, species, options.seed))
    return joined(parts)


def _convertible(
    nucleus: Nucleus, options: SimulationOptions, rng: np.random.Generator
) -> Emitters:
    thickness = min(nucleus.c_um, options.sample.section_um)
    area = np.pi * nucleus.outline_a_um * nucleus.outline_b_um
    count = int(rng.poisson(CONVERTIBLE_PER_UM3 * area * thickness * 0.6))
    places = _in_section(nucleus, count, options, rng)
    numbers = _free_numbers(nucleus, CONVERTED, count)
    return _table(numbers, places, CONVERTED, options.seed)


def _free_numbers(nucleus: Nucleus, species: int, count: int) -> I64:
    """Return numbers that no dye of a signal has."""
    base = (1 << 40) + (nucleus.nucleus * 4 + species) * (1 << 12)
    return base + np.arange(count, dtype=np.int64)


def _in_section(
    nucleus: Nucleus, count: int, options: SimulationOptions, rng: np.random.Generator
) -> F64:
    """Return points in the outline and the section, shape (count, 3)."""
    radius, turn = np.sqrt(rng.random(count)), rng.uniform(0.0, 2.0 * np.pi, count)
    u = nucleus.outline_a_um * radius * np.cos(turn)
    v = nucleus.outline_b_um * radius * np.sin(turn)
    cos, sin = np.cos(nucleus.angle_rad), np.sin(nucleus.angle_rad)
    top = min(nucleus.z_um + nucleus.c_um, options.sample.section_um)
    z = rng.uniform(max(nucleus.z_um - nucleus.c_um, 0.0), top, count)
    x = nucleus.x_um + u * cos - v * sin
    y = nucleus.y_um + u * sin + v * cos
    return np.column_stack([x, y, z])


def _table(numbers: I64, places: F64, species: int, seed: int) -> Emitters:
    """Return dyes of one species before their first light; fates are drawn later."""
    count = len(numbers)
    golden = np.uint64(0x9E3779B97F4A7C15)
    key = (numbers.astype(np.uint64) + np.uint64(1)) * golden
    return Emitters(
        number=numbers,
        signal=np.full(count, -1, np.int64),
        key=key ^ np.uint64((seed * 0xBF58476D1CE4E5B9) % 2**64),
        species=np.full(count, species, np.uint8),
        x_um=places[:, 0].copy(),
        y_um=places[:, 1].copy(),
        z_um=places[:, 2].copy(),
        brightness=np.ones(count),
        pace=np.ones(count),
        state=np.full(count, BRIGHT, np.uint8),
        step=np.zeros(count, np.uint32),
        dose=np.zeros(count),
        until=np.zeros(count),
        death=np.full(count, np.inf),
    )


def _age_zero(
    table: Emitters, options: SimulationOptions, rng: np.random.Generator
) -> None:
    """Draw what distinguishes dyes of one species, and the end of their first state."""
    count = len(table)
    table.brightness[:] = rng.lognormal(-0.5 * 0.35**2, 0.35, count)
    table.pace[:] = rng.lognormal(0.0, 0.6, count)
    chance = rng.exponential(1.0, count)
    fast = FRAME_DOSE / options.kinetics_factor
    for number, species in enumerate(SPECIES):
        mine = table.species == number
        rate = rng.gamma(species.bright_shape, 1.0, count) / species.bright_frames
        # the slowest dyes of the mixture would never end within a float's range
        rate = np.maximum(rate, 1e-9)
        table.until[mine] = (chance / rate)[mine] * fast
    latent = table.species == CONVERTED
    table.state[latent] = LATENT
    dose = CONVERSION_DOSE / options.kinetics_factor
    table.until[latent] = chance[latent] * dose
