"""`her2sr import`: movies of another microscope become a run folder like any other."""

import hashlib
import json
import os

import numpy as np
import pytest
import tifffile
from run_folders import make_run
from scipy.ndimage import gaussian_filter

from her2sr_acq.cli import main
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.rebuild import rebuild
from her2sr_acq.engine.states import RunState
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.frames import open_movie
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_field

SIZE, FRAMES = 48, 61
SPOTS = ((14.0, 30.0), (30.0, 16.0))


def told(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["import", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def film(seed, frames=FRAMES, size=SIZE) -> np.ndarray:
    """Return frames of two blinking loci on even ground, in camera counts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    mean = np.full((frames, size, size), 20.0)
    for column, row in SPOTS:
        spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 0.7**2))
        mean += rng.poisson(1.0, frames)[:, None, None] * 400.0 * spot
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


def nucleus(frames=20, size=SIZE) -> np.ndarray:
    rng = np.random.default_rng(9)
    y, x = np.mgrid[:size, :size]
    disc = np.hypot(x - 23, y - 23) < 20
    return (
        100 + rng.poisson(np.where(disc, 300.0, 10.0), (frames, size, size))
    ).astype(np.uint16)


@pytest.fixture
def movies(tmp_path):
    """Return the options of three movies, named as their laboratory does."""
    places = {
        "her2": tmp_path / "case_SR_561_0001.tif",
        "cep17": tmp_path / "case_SR_488_0001.tif",
        "dapi": tmp_path / "case_405.tif",
    }
    for name, frames in (
        ("her2", film(1)),
        ("cep17", film(2)),
        ("dapi", nucleus()),
    ):
        tifffile.imwrite(places[name], frames, photometric="minisblack")
    return places


def options(movies):
    return [word for name, path in movies.items() for word in (f"--{name}", path)]


def test_three_movies_become_a_run_that_verifies_and_answers(tmp_path, movies, capsys):
    out = tmp_path / "data" / "runs" / "slide-7"
    code, said, _ = told(capsys, *options(movies), "--out", out, "--process", "--json")
    assert code == 0
    assert json.loads(said)["frames"] == {"561": FRAMES, "488": FRAMES, "405": 20}
    run = RunFolder(out)
    verdict = verify(run, lambda *_: None)
    assert verdict.is_sound, (verdict.damage, verdict.gaps)
    manifest = read_manifest(run)
    assert {c.name: c.probe for c in manifest.channels} == {
        "561": "HER2",
        "488": "CEP17",
        "405": "DAPI",
    }
    assert run.report.exists()
    (counted,) = read_field(run, "r00_c00").nuclei
    assert counted.counts["sr"]["HER2"].count == len(SPOTS)
    assert "imported movies" in run.result.read_text()


def test_every_frame_is_that_of_the_movie_the_last_short_block_too(
    tmp_path, movies, capsys
):
    assert told(capsys, *options(movies), "--out", tmp_path / "r1")[0] == 0
    run = RunFolder(tmp_path / "r1")
    key = next(k for k in read_ledger(run.ledger) if k.channel == "561")
    copy = open_movie(run.raw(key))
    original = tifffile.imread(movies["her2"])
    assert copy.shape == original.shape
    np.testing.assert_array_equal(copy.read(0, FRAMES), original)
    said = {m.channel: m.pixels_sha256 for m in read_manifest(run).imported}
    assert said["561"] == hashlib.sha256(original.astype("<u2").tobytes()).hexdigest()


def test_nothing_of_a_file_name_is_kept(tmp_path, movies, capsys):
    # A case number with letters that no figure and no digest can hold by chance.
    named = tmp_path / "Mustermann_H21-QX47_561.tif"
    movies["her2"].rename(named)
    movies["her2"] = named
    assert told(capsys, *options(movies), "--out", tmp_path / "r1", "--process")[0] == 0
    for path in (tmp_path / "r1").rglob("*"):
        if path.suffix in (".json", ".jsonl", ".html", ".csv", ".geojson"):
            assert "ustermann" not in path.read_text(), path
            assert "QX47" not in path.read_text(), path


def test_a_movie_with_fewer_frames_than_expected_makes_a_partial_run(
    tmp_path, movies, capsys
):
    tifffile.imwrite(movies["cep17"], film(2, frames=60), photometric="minisblack")
    out = tmp_path / "data" / "runs" / "short"
    expected = ("--expect-frames", FRAMES)
    code, said, _ = told(capsys, *options(movies), "--out", out, *expected)
    assert code == 0
    assert "488: partial, 1 frames fewer than expected" in said
    histories = read_ledger(RunFolder(out).ledger)
    states = {key.channel: unit.verdict.state for key, unit in histories.items()}
    assert states["488"] is UnitState.PARTIAL
    assert states["561"] is UnitState.COMPLETE
    result = process_run(RunFolder(out), lambda *_: None)
    assert any("units lack frames" in flag for flag in result.flags)


def test_a_service_finds_an_imported_run_in_its_data_folder(tmp_path, movies, capsys):
    data = DataFolder(tmp_path / "data")
    whole, short = data.runs / "whole", data.runs / "short"
    with Database(data.database) as database:  # of a service that ran before
        assert rebuild(database, data) == []
        assert told(capsys, *options(movies), "--out", whole)[0] == 0
        more = ("--expect-frames", FRAMES + 1)
        assert told(capsys, *options(movies), "--out", short, *more)[0] == 0
        assert rebuild(database, data) == ["short", "whole"]
        assert database.run("whole").state is RunState.COMPLETED
        assert database.run("short").state is RunState.COMPLETED_WITH_FAULTS
        units = [u for f in database.fields("whole") for u in f.units]
        assert [u.written for u in units] == [FRAMES, FRAMES, 20]


def test_without_dapi_no_nucleus_is_counted_and_the_result_says_so(
    tmp_path, movies, capsys
):
    del movies["dapi"]
    assert told(capsys, *options(movies), "--out", tmp_path / "r1", "--process")[0] == 0
    run = RunFolder(tmp_path / "r1")
    assert read_field(run, "r00_c00").nuclei == ()
    assert json.loads(run.result.read_text())["arms"]["sr_merged"]["nuclei"] == 0


def wrong_light(movies, tmp_path):
    movies["her2"], movies["cep17"] = movies["cep17"], movies["her2"]
    return (), 2, "says 488 nm, but --her2 was taken with 561 nm"


def other_size(movies, tmp_path):
    tifffile.imwrite(movies["cep17"], film(2, size=40), photometric="minisblack")
    return (), 2, "a field has one size"


def one_row(movies, tmp_path):
    for path in movies.values():
        frames = np.full((3, 1, 500), 200, np.uint16)
        tifffile.imwrite(path, frames, photometric="minisblack")
    return ("--process",), 2, "frames of 1 x 500 px, smaller than the box"


def cut_off(movies, tmp_path):
    data = movies["cep17"].read_bytes()
    movies["cep17"].write_bytes(data[: len(data) // 2])
    return (), 2, "truncated"


def absent(movies, tmp_path):
    movies["cep17"] = tmp_path / "nowhere.tif"
    return (), 2, "there is no movie"


def too_long(movies, tmp_path):
    return ("--expect-frames", 10), 2, "more than the 10 that were expected"


def one_light(movies, tmp_path):
    return ("--dapi-nm", 488), 2, "same light"


def a_person(movies, tmp_path):
    return ("--sample", "Erika Mustermann"), 2, "never a patient"


def there_already(movies, tmp_path):
    make_run(tmp_path / "r1", frames={"561": 10}, size=16)
    return (), 2, "exists already"


@pytest.mark.parametrize(
    "spoil",
    [
        wrong_light,
        other_size,
        one_row,
        cut_off,
        absent,
        too_long,
        one_light,
        a_person,
        there_already,
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_left(
    tmp_path, movies, capsys, spoil
):
    more, expected, sentence = spoil(movies, tmp_path)
    before = sorted(os.listdir(tmp_path))
    code, _, err = told(capsys, *options(movies), "--out", tmp_path / "r1", *more)
    assert (code, sentence in err) == (expected, True), err
    assert err.count("\n") <= 1 + err.count("importing")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.timeout(120)
def test_cleaned_movies_are_told_and_their_signals_do_not_count(
    tmp_path, movies, capsys
):
    frames = gaussian_filter(film(1).astype(float), (0, 0.8, 0.8))
    tifffile.imwrite(
        movies["her2"], np.rint(frames).astype(np.uint16), photometric="minisblack"
    )
    tifffile.imwrite(
        movies["cep17"], film(2), photometric="minisblack", description="csbdeep care"
    )
    run = RunFolder(tmp_path / "runs" / "clean")
    code, said, _ = told(capsys, *options(movies), "--out", run.root, "--json")
    assert code == 0
    her2, cep17 = json.loads(said)["flags"]
    assert her2.startswith("561 was cleaned before: its frames carry")
    assert "488 was cleaned before: its file says that CSBDeep made it" in cep17
    result = process_run(run, lambda *_: None)
    headline = result.arms[result.headline]
    assert (headline.status, headline.nuclei) == ("indeterminate", 0)
    assert result.apart[0].reasons == (her2, cep17)
    assert any("561 was cleaned before" in flag for flag in result.flags)
    assert "561 was cleaned before" in run.report.read_text()
