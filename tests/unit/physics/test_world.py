"""The world as a whole: frames follow from the seed and from what was done before."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from her2sr_proc.store.truth import read_truth
from simulators.movie import record
from simulators.options import SimulationOptions, StageOptions
from simulators.world import Light, View, World

SIZE = 96


def options(**changes: object) -> SimulationOptions:
    return SimulationOptions(
        **({"height": SIZE, "width": SIZE, "kinetics_factor": 10.0} | changes)
    )


def view(nm: int | None = 561, power: float = 0.4, x_um: float = 0.0) -> View:
    lights = () if nm is None else (Light(nm, power),)
    return View(x_um, 0.0, 1.5, 0.03, lights)


def blank() -> np.ndarray:
    return np.zeros((SIZE, SIZE), np.uint16)


def test_the_same_calls_give_the_same_frames() -> None:
    def story() -> np.ndarray:
        world = World(options())
        first = record(options(), view(561), 5, world)
        world.illuminate(view(561), 0.5)
        world.rest(20.0)
        return np.concatenate([first, record(options(), view(488), 5, world)])

    np.testing.assert_array_equal(story(), story())


def test_a_field_that_has_been_lit_before_is_as_dark_as_after_that_light() -> None:
    fresh, before = World(options()), World(options(lit_before_s=3.0))
    bright = record(options(), view(), 1, fresh)
    faded = record(options(lit_before_s=3.0), view(), 1, before)
    fresh.illuminate(view(), 2.97)
    same = record(options(), view(), 1, fresh)
    offset = 100.0
    left = (faded.mean() - offset) / (bright.mean() - offset)
    assert left < 0.9
    assert (same.mean() - offset) / (bright.mean() - offset) == pytest.approx(
        left, rel=0.02
    )


def test_another_seed_gives_other_frames() -> None:
    one, other = (record(options(seed=s), view(), 1) for s in (1, 2))
    assert np.mean(one != other) > 0.9


def test_frames_are_not_square_by_accident() -> None:
    wide = options(height=48, width=80)
    movie = record(wide, view(), 2)
    assert movie.shape == (2, 48, 80)
    assert movie.min() > 100


def test_two_fields_beside_each_other_show_one_slide() -> None:
    """What lies half a frame to the right appears half a frame further left."""
    still = StageOptions(drift_xy_nm_per_min=0.0, drift_z_nm_per_min=0.0)
    pictures = []
    for x_um in (0.0, SIZE / 2 * 0.13):
        movie = record(options(stage=still), view(405, 0.2, x_um), 8)
        pictures.append(movie.mean(axis=0))
    left, right = pictures[0][:, SIZE // 2 :], pictures[1][:, : SIZE // 2]
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.98


def test_without_light_a_frame_is_offset_and_read_noise() -> None:
    dark = record(options(), view(None), 20)
    assert dark.mean() == pytest.approx(100.0, abs=0.2)
    assert dark.std() == pytest.approx(1.6 / 0.46, rel=0.15)


def test_nuclei_are_bright_at_405_and_faint_at_488() -> None:
    blue, green = (record(options(), view(nm), 4).mean(axis=0) for nm in (405, 488))
    nucleus = blue > np.quantile(blue, 0.8)
    glass = blue < np.quantile(blue, 0.2)
    assert blue[nucleus].mean() > 3.0 * blue[glass].mean()
    assert 1.0 < green[nucleus].mean() / green[glass].mean() < 2.0


def test_light_without_the_camera_bleaches_as_frames_do() -> None:
    seen, unseen = World(options()), World(options())
    record(options(), view(), 100, seen)
    unseen.illuminate(view(), 100 * 0.03)
    assert seen.clock_s == pytest.approx(unseen.clock_s)
    after = [record(options(), view(), 4, world).mean() for world in (seen, unseen)]
    fresh = record(options(), view(), 4).mean()
    assert after[0] == pytest.approx(after[1], rel=0.005)
    assert after[0] < 0.8 * fresh


def test_dose_is_counted_where_the_light_was() -> None:
    world = World(options())
    record(options(), view(561, 0.4), 50, world)
    world.illuminate(view(405, 0.2), 2.0)
    middle = world.doses.at(0.0, 0.0)
    assert middle[561] == pytest.approx(50 * 0.03 * 0.4, rel=0.02)
    assert middle[405] == pytest.approx(2.0 * 0.2, rel=0.02)
    assert middle[488] == 0.0
    edge, half = 0.5, SIZE / 2 * 0.13
    skirt = world.doses.at(half + edge, 0.0)[561] / middle[561]
    assert 0.5 < skirt < 0.95
    assert world.doses.at(3 * half, 0.0)[561] < 1e-3 * middle[561]


def test_rest_takes_time_and_bleaches_nothing() -> None:
    world = World(options())
    record(options(), view(), 10, world)
    before = world.doses.at(0.0, 0.0)
    world.rest(3600.0)
    assert world.clock_s == pytest.approx(3600.3)
    assert world.doses.at(0.0, 0.0) == before


def test_a_frame_says_when_its_exposure_began() -> None:
    world = World(options())
    world.rest(1.0)
    times = [world.expose(view(), blank()) for _ in range(3)]
    assert times == pytest.approx([1.0, 1.03, 1.06])


def test_fast_frames_look_like_exact_ones_on_average() -> None:
    exact = record(options(), view(), 30).mean(axis=0)
    fast = record(options(noise="fast"), view(), 30).mean(axis=0)
    assert fast.mean() == pytest.approx(exact.mean(), rel=0.03)
    assert np.corrcoef(exact.ravel(), fast.ravel())[0, 1] > 0.97


def test_replay_shows_sixteen_frames_again_and_still_bleaches() -> None:
    world = World(options(noise="replay"))
    movie = record(options(), view(), 64, world)
    np.testing.assert_array_equal(movie[16:32], movie[32:48])
    assert np.any(movie[16] != movie[17])
    assert world.doses.at(0.0, 0.0)[561] == pytest.approx(64 * 0.012, rel=0.02)
    again = record(options(), view(), 16, world)
    assert again.mean() < movie.mean()


def test_a_slide_without_probe_shows_no_signals() -> None:
    def brightest(kind: str) -> float:
        movie = record(options(specimen=kind, height=256, width=256), view(), 3)
        return float(np.quantile(movie.mean(axis=0), 0.9995))

    assert brightest("demo") > 3.0 * brightest("no_probe")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth of two bursts on one field."""
    folder = tmp_path_factory.mktemp("truth")
    world = World(options())
    record(options(), view(561), 60, world)
    record(options(), view(488), 40, world)
    world.write_truth(folder)
    return folder


def test_the_comparison_can_read_the_truth(left: Path) -> None:
    truth = read_truth(left)
    assert truth is not None
    assert set(truth.loci.nucleus) <= set(truth.nuclei.nucleus)
    assert set(truth.loci.probe) == {"HER2", "CEP17"}
    assert not truth.loci.in_section.all()
    assert set(truth.nuclei.kind) <= {"tumour", "stroma", "normal"}


def test_intervals_tell_in_which_frames_dyes_shone(left: Path) -> None:
    table = pq.read_table(left / "intervals.parquet").to_pydict()
    burst, first = np.array(table["burst"]), np.array(table["first_frame"])
    last = np.array(table["last_frame"])
    assert dict(zip(table["burst"], table["laser_nm"], strict=True)) == {0: 561, 1: 488}
    assert np.all((first >= 0) & (first <= last))
    assert last[burst == 0].max() == 59
    assert last[burst == 1].max() == 39
    red = np.array(table["signal"])[burst == 0]
    assert np.mean(red >= 0) > 0.9


def test_intervals_of_one_dye_do_not_meet(left: Path) -> None:
    table = pq.read_table(left / "intervals.parquet", filters=[("burst", "=", 0)])
    dye, first = table["emitter"].to_numpy(), table["first_frame"].to_numpy()
    last = table["last_frame"].to_numpy()
    order = np.lexsort((first, dye))
    same = dye[order][1:] == dye[order][:-1]
    assert same.any()
    assert np.all(first[order][1:][same] > last[order][:-1][same] + 1)


def test_intervals_name_signals_of_the_loci(left: Path) -> None:
    signals = set(pq.read_table(left / "intervals.parquet")["signal"].to_pylist())
    loci = pq.read_table(left / "loci.parquet")
    inside = loci.filter(loci["in_section"])
    assert signals - {-1} <= set(inside["signal"].to_pylist())


def test_the_card_says_what_was_simulated(left: Path) -> None:
    card = json.loads((left / "specimen.json").read_text())
    assert card["kind"] == "demo"
    assert card["kinetics_factor"] == 10.0
    assert card["bursts"] == 2
    assert card["intervals_complete"] is True


def test_truth_can_be_written_before_anything_was_seen(tmp_path: Path) -> None:
    World(options()).write_truth(tmp_path)
    truth = read_truth(tmp_path)
    assert truth is not None
    assert len(truth.nuclei.nucleus) == 0


def test_intervals_are_left_out_when_not_asked_for(tmp_path: Path) -> None:
    world = World(options(record_intervals=False))
    record(options(), view(), 3, world)
    world.write_truth(tmp_path)
    assert pq.read_metadata(tmp_path / "intervals.parquet").num_rows == 0
