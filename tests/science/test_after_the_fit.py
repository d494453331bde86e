"""What linking, drift and resolution claim, on molecules whose truth is known."""

import numpy as np
import pytest

from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.linking import link
from her2sr_proc.resolution import measure_resolution
from her2sr_proc.schema.table import COLUMNS, Localizations, concatenate

FRAMES = 5000


def table(frame, x_nm, y_nm, sd_nm=10.0):
    """A table of localizations that claim the given precision."""
    values = {"frame": frame, "x_nm": x_nm, "y_nm": y_nm, "photons": 500.0}
    values |= dict.fromkeys(
        ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"), sd_nm
    )
    size = np.size(frame)
    return Localizations(
        {
            c.name: np.broadcast_to(values.get(c.name, 0), size).astype(c.dtype)
            for c in COLUMNS
        }
    )


def wandering(rng, frames=FRAMES):
    """A drift of some hundred nanometres: a line, a slow wave and a random walk."""
    t = np.arange(frames) / frames
    walk = np.cumsum(rng.normal(0, 1.0, (frames, 2)), axis=0)
    path = np.column_stack([250 * t, 120 * np.sin(4 * t)]) + walk
    return path - path.mean(axis=0)


def blinking(rng, *, sites, on, path, sd_nm=10.0, side_nm=20_000):
    """Sites that blink at random, seen with an error, on a sample that moves."""
    places = rng.uniform(0, side_nm, (sites, 2))
    frame, site = np.nonzero(rng.random((len(path), sites)) < on)
    where = places[site] + path[frame] + rng.normal(0, sd_nm, (frame.size, 2))
    return table(frame, where[:, 0], where[:, 1], sd_nm), places[site]


def left_over_nm(drift, path):
    """Root mean square, per axis, of what is wrong with a drift."""
    wrong = drift.xy_nm - path
    return float(np.sqrt(np.mean((wrong - wrong.mean(axis=0)) ** 2)))


@pytest.mark.parametrize(
    ("method", "segment", "sites", "on", "most_nm"),
    [
        ("aim", 50, 500, 0.02, 6.0),
        ("aim", 100, 50, 0.05, 8.0),
        ("rcc", 250, 500, 0.02, 15.0),
    ],
    ids=["aim", "aim, fifty sites", "rcc"],
)
def test_a_known_drift_is_found(method, segment, sites, on, most_nm):
    """A walk of 1 nm a frame moves 4 nm rms within 50 frames: most of what is left."""
    rng = np.random.default_rng(1)
    path = wandering(rng)
    seen, _ = blinking(rng, sites=sites, on=on, path=path)
    found = measure_drift(seen, frames=FRAMES, method=method, segment_frames=segment)
    assert np.ptp(path, axis=0).min() > 60
    assert left_over_nm(found, path) < most_nm


@pytest.mark.parametrize(
    ("method", "segment", "most_nm"), [("aim", 100, 1.0), ("rcc", 500, 3.0)]
)
def test_a_smooth_drift_is_found_to_a_nanometre(method, segment, most_nm):
    rng = np.random.default_rng(2)
    t = np.arange(FRAMES) / FRAMES
    path = np.column_stack([250 * t, 120 * np.sin(4 * t)])
    seen, where = blinking(rng, sites=800, on=0.02, path=path)
    found = measure_drift(seen, frames=FRAMES, method=method, segment_frames=segment)
    assert left_over_nm(found, path) < most_nm
    still = found.taken_off(seen)
    error = np.column_stack([still["x_nm"], still["y_nm"]]) - where
    assert np.std(error - error.mean(axis=0)) < 10.4


def test_no_drift_stays_none():
    rng = np.random.default_rng(3)
    path = np.zeros((FRAMES, 2))
    seen, _ = blinking(rng, sites=500, on=0.02, path=path)
    found = measure_drift(seen, frames=FRAMES, method="aim", segment_frames=100)
    assert left_over_nm(found, path) < 1.0


def test_too_few_localizations_are_refused():
    rng = np.random.default_rng(4)
    seen, _ = blinking(rng, sites=5, on=0.01, path=np.zeros((FRAMES, 2)))
    with pytest.raises(RequestError, match="too few to see a drift"):
        measure_drift(seen, frames=FRAMES, method="aim", segment_frames=100)
    with pytest.raises(RequestError, match="two segments"):
        measure_drift(seen, frames=150, method="aim", segment_frames=100)


def test_a_molecule_that_stays_lit_becomes_one_row():
    rng = np.random.default_rng(5)
    starts, stays = rng.integers(0, 900, 300), rng.integers(1, 8, 300)
    places = rng.uniform(0, 50_000, (300, 2))
    frame = np.concatenate(
        [np.arange(s, s + n) for s, n in zip(starts, stays, strict=True)]
    )
    who = np.repeat(np.arange(300), stays)
    where = places[who] + rng.normal(0, 10.0, (who.size, 2))
    merged = link(table(frame, *where.T), distance_nm=60, gap=0)
    assert len(merged) == pytest.approx(300, abs=3)
    assert merged["detections"].sum() == who.size
    assert merged["photons"].sum() == 500 * who.size
    np.testing.assert_allclose(
        merged["uncertainty_nm"], 10 / np.sqrt(merged["detections"]), rtol=1e-5
    )


@pytest.mark.parametrize(("gap", "rows"), [(0, 2), (1, 1)])
def test_a_dark_frame_is_bridged_where_that_is_asked_for(gap, rows):
    one = table(np.array([3, 5]), np.array([10.0, 12.0]), np.array([0.0, 0.0]))
    assert len(link(one, distance_nm=20, gap=gap)) == rows


@pytest.mark.parametrize("unknown", [0.0, np.nan, np.inf])
def test_rows_without_an_uncertainty_leave_the_others_their_place(unknown):
    seen = table(np.arange(3), np.array([10.0, 12.0, 16.0]), 0, [unknown, 8.0, 8.0])
    merged = link(seen, distance_nm=20, gap=0)
    assert merged["x_nm"] == pytest.approx(14.0)
    assert merged["uncertainty_nm"] == pytest.approx(8.0 / 2**0.5)
    lost = link(table(np.arange(2), [10, 12], 0, unknown), distance_nm=20, gap=0)
    assert lost["x_nm"] == pytest.approx(11.0)
    assert np.isnan(lost["uncertainty_nm"]).all()


def test_linking_once_more_counts_detections_and_last_frames_on():
    seen = table(np.array([0, 1, 2, 5, 6]), np.zeros(5), np.zeros(5))
    twice = link(link(seen, distance_nm=20, gap=0), distance_nm=20, gap=2)
    once = link(seen, distance_nm=20, gap=2)
    for name in once.columns:
        np.testing.assert_allclose(twice[name], once[name], rtol=1e-6)
    assert list(twice["detections"]) == [5]
    assert list(twice["last_frame"]) == [6]


def test_a_molecule_still_lit_takes_no_other_one_in():
    lit = link(table(np.arange(9), np.zeros(9), np.zeros(9)), distance_nm=20, gap=0)
    brief = table(np.array([4]), np.array([5.0]), np.zeros(1))
    extra = {"last_frame": np.array([4]), "detections": np.array([1])}
    both = concatenate([lit, Localizations({**brief.columns, **extra})])
    assert len(link(both, distance_nm=20, gap=9)) == 2


def test_an_empty_table_stays_empty():
    assert len(link(table(np.empty(0), 0, 0), distance_nm=20, gap=1)) == 0


def test_neighbours_of_the_next_frame_tell_the_precision():
    rng = np.random.default_rng(6)
    places = rng.uniform(0, 30_000, (2000, 2))
    start = rng.integers(0, 400, 2000)
    frame = np.concatenate([start, start + 1, start + 2])
    where = np.tile(places, (3, 1)) + rng.normal(0, 12.0, (6000, 2))
    found = measure_resolution(table(frame, *where.T, 12.0), rng)
    assert found.nena_nm == pytest.approx(12.0, rel=0.06)
    assert found.uncertainty_nm == 12.0


@pytest.mark.parametrize("sd_nm", [8.0, 16.0])
def test_rings_stop_where_the_precision_ends(sd_nm):
    """Dense lines: the correlation of 1/7 is near pi sd, for many localizations."""
    rng = np.random.default_rng(7)
    line = rng.integers(0, 12, 60_000)
    x = rng.uniform(0, 4000, line.size)
    y = 300.0 * line + 60 * np.sin(x / 200 + line)
    where = np.column_stack([x, y]) + rng.normal(0, sd_nm, (line.size, 2))
    seen = table(np.arange(line.size), *where.T, sd_nm)
    found = measure_resolution(seen, rng)
    assert 2.0 * sd_nm < found.frc_nm < 5.0 * sd_nm
    assert found.frc_sd_nm < 0.15 * found.frc_nm


@pytest.mark.parametrize("x", ["alike", "on a line", "with one far off"])
def test_where_nothing_is_resolved_no_resolution_is_told(x):
    rng = np.random.default_rng(8)
    places = rng.uniform(0, 5000, (2, 600))
    places[1] = 0.0 if x != "with one far off" else places[1]
    places[0] = 0.0 if x == "alike" else places[0]
    if x == "with one far off":
        places[0, 0] = 1e7
    found = measure_resolution(table(np.arange(600), *places, 10.0), rng)
    assert np.isnan(found.frc_nm)
    assert not found.nena_nm < 0.5


def test_uncertainties_that_are_unknown_do_not_hide_the_others():
    sd_nm = np.array([np.nan, 10.0, 12.0, 14.0])
    seen = table(np.arange(4), np.arange(4), np.arange(4), sd_nm)
    found = measure_resolution(seen, np.random.default_rng(9))
    assert found.uncertainty_nm == 12.0
