"""Dyes: that light alone ages them, and which light does what."""

import numpy as np
import pytest

from simulators.dyes import Dyes
from simulators.optics import Light, View, excitations, powers
from simulators.options import SampleOptions, SimulationOptions
from simulators.photophysics import (
    BLINK,
    BRIGHT,
    CONVERTED,
    DEAD,
    GREEN,
    LATENT,
    RED,
    Emitters,
    emitters_of,
)
from simulators.specimen import Specimen

FRAME_S = 0.03


def options(**changes: object) -> SimulationOptions:
    return SimulationOptions(**({"height": 128, "width": 128} | changes))


def view(nm: int = 561, power: float = 0.4, x_um: float = 0.0) -> View:
    return View(x_um, 0.0, 1.5, FRAME_S, (Light(nm, power),))


def lit(
    opts: SimulationOptions, at: View, frames: int, ageing: float = 1.0
) -> tuple[Dyes, list[np.ndarray]]:
    """Return dyes after some frames, and the photons of each frame."""
    dyes = Dyes(opts, Specimen(opts))
    dyes.aim(at, (at.x_um, at.y_um, at.z_um), ageing)
    return dyes, [dyes.expose(FRAME_S, ageing).copy() for _ in range(frames)]


def seen(dyes: Dyes, species: int) -> np.ndarray:
    """Return which of the dyes inside are bound, of a species, in the full beam."""
    table, inside = dyes.table, dyes.inside
    middle = np.hypot(table.x_um[inside], table.y_um[inside]) < 7.0
    return middle & (table.species[inside] == species) & (table.signal[inside] >= 0)


def test_light_in_one_piece_ages_dyes_as_light_in_many() -> None:
    opts = options()
    pieces, _ = lit(opts, view(), 200)
    whole, _ = lit(opts, view(), 0)
    whole.light(200 * FRAME_S)
    for dyes in (pieces, whole):
        dyes.leave(1.0)
    np.testing.assert_array_equal(pieces.table.state, whole.table.state)
    np.testing.assert_array_equal(pieces.table.step, whole.table.step)
    np.testing.assert_allclose(pieces.table.dose, whole.table.dose, rtol=1e-9)


def test_dyes_remember_their_light_when_the_microscope_comes_back() -> None:
    dyes, _ = lit(options(), view(), 100)
    before = np.sort(dyes.table.state)
    dyes.aim(view(x_um=500.0), (500.0, 0.0, 1.5), 1.0)
    dyes.aim(view(), (0.0, 0.0, 1.5), 1.0)
    dyes.leave(1.0)
    np.testing.assert_array_equal(np.sort(dyes.table.state), before)


def test_half_the_power_for_twice_as_long_is_the_same_light() -> None:
    strong, _ = lit(options(), view(power=0.4), 50)
    weak, _ = lit(options(), view(power=0.2), 100)
    np.testing.assert_array_equal(strong.table.state, weak.table.state)


def test_every_dye_is_bright_at_first() -> None:
    _, photons = lit(options(), view(), 1)
    dyes, _ = lit(options(), view(), 0)
    red = seen(dyes, RED)
    assert np.median(photons[0][red]) == pytest.approx(375 * 1.5 * 0.9, rel=0.2)


def test_a_blink_sends_one_to_six_hundred_photons_in_a_frame() -> None:
    dyes, _ = lit(options(), view(), 0)
    dyes.light(1400 * FRAME_S)
    photons = np.array([dyes.expose(FRAME_S, 1.0).copy() for _ in range(100)])
    on = photons[:, seen(dyes, RED)] > 0
    inner = on[:-2] & on[1:-1] & on[2:]
    whole = photons[1:-1, seen(dyes, RED)][inner]
    middle = np.quantile(whole, [0.1, 0.9])
    assert 150 < middle[0] < middle[1] < 900
    assert middle[0] < 375 < middle[1]


def test_488_excites_the_red_dye_far_more_than_561_the_green_one() -> None:
    blue = excitations() @ powers((Light(488, 1.0),))
    yellow = excitations() @ powers((Light(561, 1.0),))
    assert blue[RED] / yellow[RED] > 20.0 * yellow[GREEN] / blue[GREEN]
    dyes, photons = lit(options(), view(488), 1)
    bleeding = photons[0][seen(dyes, RED)].mean() / photons[0][seen(dyes, GREEN)].mean()
    assert bleeding == pytest.approx(0.12, rel=0.3)


def test_the_wrong_laser_bleaches_too() -> None:
    """An eighth of the light is an eighth of the dose, and no less."""
    right, _ = lit(options(), view(561), 100)
    wrong, _ = lit(options(), view(488), 0)
    wrong.light(100 * FRAME_S / 0.12)
    wrong.leave(1.0)
    right.leave(1.0)
    red = right.table.species == RED
    np.testing.assert_array_equal(right.table.state[red], wrong.table.state[red])


def test_405_makes_dapi_blink_green_and_no_other_laser_does() -> None:
    def converted(nm: int) -> float:
        dyes, _ = lit(options(), view(nm, 0.2), 0)
        dyes.light(1000 * FRAME_S)
        dyes.leave(1.0)
        table = dyes.table
        near = np.hypot(table.x_um, table.y_um) < 5.0
        return float(np.mean(table.state[(table.species == CONVERTED) & near] > LATENT))

    assert converted(405) == pytest.approx(1 - np.exp(-0.5), abs=0.1)
    assert converted(488) == 0.0


def test_converted_dapi_is_seen_at_488() -> None:
    opts = options()
    dyes, _ = lit(opts, view(405, 0.2), 0)
    dyes.light(30.0)
    dyes.aim(view(488), (0.0, 0.0, 1.5), 1.0)
    photons = sum(dyes.expose(FRAME_S, 1.0).copy() for _ in range(100))
    assert np.sum(photons[dyes.table.species[dyes.inside] == CONVERTED] > 0) > 10


def test_the_skirt_bleaches_neighbours_and_does_not_reach_far() -> None:
    opts = options()
    dyes, _ = lit(opts, view(), 2000)
    dyes.leave(1.0)
    table, half = dyes.table, 128 * 0.13 / 2
    red = (table.species == RED) & (table.signal >= 0) & (np.abs(table.y_um) < half)
    beyond = np.abs(table.x_um) - half
    touched = table.step > 0
    assert touched[red & (beyond < -1.0)].mean() > 0.7
    assert touched[red & (beyond > 0.0) & (beyond < 1.0)].mean() > 0.5
    assert not touched[red & (beyond > 5.0)].any()


def test_compressed_kinetics_end_where_the_true_ones_end() -> None:
    sample = SampleOptions(dyes_per_signal=200)
    true = options(height=256, width=256, sample=sample)
    quick = true.model_copy(update={"kinetics_factor": 12.5})
    shares = []
    for opts, frames in ((true, 2000), (quick, 160)):
        dyes, _ = lit(opts, view(), 0)
        dyes.light(frames * FRAME_S)
        dyes.leave(1.0)
        state = dyes.table.state[dyes.inside][seen(dyes, RED)]
        shares.append([np.mean(state == s) for s in (BRIGHT, BLINK, DEAD)])
    # the dead lag: a blinker dies at its next blink, and those are not compressed
    np.testing.assert_allclose(shares[0][:2], shares[1][:2], atol=0.02)
    assert abs(shares[0][2] - shares[1][2]) < 0.15


def test_blinks_keep_their_length_when_kinetics_are_compressed() -> None:
    lengths = []
    for factor in (1.0, 12.5):
        sample = SampleOptions(dyes_per_signal=200)
        dyes, _ = lit(options(kinetics_factor=factor, sample=sample), view(), 0)
        dyes.light(round(2000 / factor) * FRAME_S)
        on = np.array([dyes.expose(FRAME_S, 1.0) > 0 for _ in range(100)])
        blinking = ~on[0] & seen(dyes, RED)
        starts = (~on[:-1] & on[1:])[:, blinking].sum()
        lengths.append(on[:, blinking].sum() / starts)
    assert lengths[0] == pytest.approx(3.0, rel=0.2)
    assert lengths[1] == pytest.approx(lengths[0], rel=0.15)


def test_an_old_buffer_lets_dyes_die_sooner() -> None:
    alive = []
    for ageing in (1.0, 3.0):
        dyes, _ = lit(options(), view(), 0)
        dyes.light(3000 * FRAME_S)
        dyes.leave(ageing)
        state = dyes.table.state[dyes.inside][seen(dyes, RED)]
        alive.append(np.sum(state != DEAD))
    assert alive[1] < 0.9 * alive[0]


def dyes_of(kind: str, **changes: object) -> Emitters:
    opts = options(specimen=kind, **changes)
    specimen = Specimen(opts)
    return emitters_of(specimen.tile(0, 0), opts, specimen.kind_at(0.0, 0.0).haze)


def test_slides_without_probe_and_with_one_colour_carry_no_such_dyes() -> None:
    assert not np.any(dyes_of("no_probe").species != CONVERTED)
    bound = dyes_of("one_colour")
    assert set(bound.species[bound.signal >= 0]) == {RED}


def test_a_failed_hybridization_leaves_few_dyes_on_target() -> None:
    good, bad = dyes_of("demo"), dyes_of("failed_hybridization")
    assert np.sum(bad.signal >= 0) < 0.15 * np.sum(good.signal >= 0)
    assert np.sum(bad.signal < 0) > 0


def test_dyes_sit_in_the_section_around_their_signal() -> None:
    opts = options()
    tile = Specimen(opts).tile(0, 0)
    table = emitters_of(tile, opts, 1.0)
    bound = table.signal >= 0
    rank = np.searchsorted(tile.loci.signal, table.signal[bound])
    assert tile.loci.in_section[rank].all()
    away = table.x_um[bound] - tile.loci.x_um[rank]
    assert np.std(away) == pytest.approx(0.085, rel=0.05)
    assert len(np.unique(table.number)) == len(table)
