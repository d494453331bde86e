"""`her2sr render` at many scales: a table, a whole run, and what it refuses."""

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import zarr
from PIL import Image
from run_folders import add_unit, make_run
from scattered import scattered, table
from short_files import short_files

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.tables import read_table, write_parquet, write_table

SIZE = {"height_px": 60, "width_px": 90}


def run(*arguments) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def content(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def locs(tmp_path):
    path = tmp_path / "locs.parquet"
    facts = MovieFacts(130.0, 60, 90, 100)
    write_parquet(path, scattered(1, 400, **SIZE), facts.to_metadata())
    return path


def test_a_table_becomes_a_picture_for_deep_zoom(locs, tmp_path, capsys):
    out = tmp_path / "new" / "sr.dzi"
    assert run("render", locs, "--out", out, "--pixel-nm", 10, "--jobs", 2) == 0
    said, err = capsys.readouterr()
    assert BANNER in err
    assert "tiles: 9 of 9" in err
    assert "400 of 400 localizations drawn on 780 x 1172 px of 10 nm" in said
    facts = json.loads((tmp_path / "new" / "sr_files" / "facts.json").read_text())
    assert f"--white-per-um2 {facts['white_per_um2']:g}" in said
    assert (facts["left_um"], facts["space"]) == (-0.065, "table")
    size = ET.parse(out).getroot()[0]
    assert (size.get("Height"), size.get("Width")) == ("780", "1172")
    with Image.open(tmp_path / "new" / "sr_files" / "11" / "0_0.png") as picture:
        assert np.asarray(picture).max() > 200


def test_a_table_becomes_numbers_of_which_the_single_image_is_one_level(
    locs, tmp_path, capsys
):
    out, single = tmp_path / "sr.ome.zarr", tmp_path / "sr.tif"
    assert run("render", locs, "--out", out, "--pixel-nm", 10, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["drawn"], said["levels"], said["banner"]) == (400, 3, BANNER)
    assert run("render", locs, "--out", single, "--pixel-nm", 20) == 0
    level = zarr.open_group(out, mode="r")["1"][0] * 0.02**2
    image = read_tiff(single)
    np.testing.assert_allclose(level[: len(image), : image.shape[1]], image, atol=2e-5)


def test_threads_and_repetition_do_not_change_a_file(locs, tmp_path):
    for folder, jobs in (("a", 1), ("b", 3), ("b", 2)):
        out = tmp_path / folder / "sr.dzi"
        assert run("render", locs, "--out", out, "--jobs", jobs) == 0
    one, other = (
        {p.relative_to(tmp_path / f): data for p, data in content(tmp_path / f).items()}
        for f in "ab"
    )
    assert one == other


@pytest.mark.parametrize("name", ["t.csv", "t.hdf5", "bare.parquet"])
def test_tables_that_are_read_whole_give_the_same_picture(locs, tmp_path, capsys, name):
    rows, facts = read_table(locs)
    if name == "bare.parquet":
        write_parquet(tmp_path / name, rows, {})
    else:
        form = "picasso" if name.endswith("hdf5") else "thunderstorm"
        write_table(tmp_path / name, rows, facts, form=form)
    white = ("--white-per-um2", 500, "--size", "60x90")
    assert run("render", tmp_path / name, "--out", tmp_path / "a.ome.zarr", *white) == 0
    assert run("render", locs, "--out", tmp_path / "b.ome.zarr", *white) == 0
    one, other = (
        zarr.open_group(tmp_path / f"{n}.ome.zarr", mode="r")["0"][:] for n in "ab"
    )
    np.testing.assert_allclose(one, other, rtol=5e-3, atol=5)


def test_drift_is_taken_off_before(tmp_path):
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 6000, (60, 2))
    frame, site = np.nonzero(rng.random((1000, 60)) < 0.05)
    x = places[site, 0] + rng.normal(0, 8, frame.size) + 0.3 * frame
    rows = table(x, places[site, 1] + rng.normal(0, 8, frame.size), 8.0)
    rows.columns["frame"] = frame.astype(np.int32)
    locs = tmp_path / "drifting.parquet"
    write_parquet(locs, rows, MovieFacts(130.0, 60, 60, 1000).to_metadata())
    brightest = {}
    for name, options in (("still", ["--drift-corrected"]), ("drifting", [])):
        out = tmp_path / f"{name}.ome.zarr"
        assert run("render", locs, "--out", out, *options) == 0
        brightest[name] = zarr.open_group(out, mode="r")["0"][:].max()
    assert brightest["still"] > 3 * brightest["drifting"]


def mosaic_run(tmp_path):
    """Two fields of 64 pixels side by side, of which a third was planned, too."""
    names = ("r00_c00", "r00_c01", "r00_c02")
    frames = {"561": 10, "405": 10}
    folder = make_run(tmp_path / "run1", frames=frames, size=64, fields=names)
    for n, field in enumerate(names[:2]):
        dark = np.zeros((10, 64, 64), np.uint16)
        key = add_unit(folder, "561", dark, field=field)
        # the second one stands outside of the frame
        rows = table([1000.0 + 300 * n, 9000.0], [2000.0, 2000.0])
        write_parquet(folder.table(key), rows, {})
    return folder


def test_a_run_becomes_one_picture_of_all_fields_at_its_place(tmp_path, capsys):
    folder = mosaic_run(tmp_path)
    assert run("render", folder.root, "--channel", "561", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["picture"] == str(folder.mosaic("561", "superresolution"))
    assert (said["drawn"], said["localizations"]) == (2, 4)
    assert (said["space"], said["left_um"]) == ("slide", -32 * 0.13)
    assert folder.mosaic("561", "superresolution").is_file()
    out = tmp_path / "run1.ome.zarr"
    assert run("render", folder.root, "--channel", "561", "--out", out) == 0
    level = zarr.open_group(out, mode="r")["0"][0]
    assert level.shape == (416, 1248)
    lit = np.argwhere(level == level.max(axis=1, keepdims=True).max())
    found_um = (lit[:, 1] + 0.5) * 0.02 + said["left_um"]
    # slide x = stage x + (px - (width - 1) / 2) x pixel, of the second field 64 px on
    expected_um = [1.0 - 31.5 * 0.13, 1.3 + (64 - 31.5) * 0.13]
    np.testing.assert_allclose(sorted(found_um), expected_um, atol=0.011)


WRONG = {
    "no channel": ("{run}", "--out is missing"),
    "no channel, but out": ("{run} --out {new}.dzi", "name it with --channel"),
    "nuclei": ("{run} --channel 405", "405 of run run1 is not localized; choose 561"),
    "image": ("{run} --channel 561 --out {new}.tif", "for one field give its table"),
    "size": ("{run} --channel 561 --size 9x9", "leave them out for a run"),
    "no run": ("{dir} --channel 561", "manifest"),
    "channel": ("{locs} --channel 561 --out {new}.dzi", "--channel is for a run"),
    "jobs": ("{locs} --jobs 2 --out {new}.tif", "--jobs is for pictures at many"),
    "white": ("{locs} --white-per-um2 2 --out {new}.png", "--white-per-um2 is for"),
    "gamma": ("{locs} --gamma 1 --out {new}.ome.zarr", "--gamma is for .dzi"),
    "no out": ("{locs}", "--out is missing"),
    "no table": ("{dir}/none.parquet --out {new}.dzi", "there is no table"),
    "no parquet": ("{text} --out {new}.dzi", "cannot be read as Parquet"),
    "too fine": ("{wide} --pixel-nm 0.1 --out {new}.dzi", "choose a larger"),
    "in the way": ("{locs} --out {dir}/mine.dzi", "mine_files is in the way"),
    "also": ("{locs} --out {dir}/mine.zarr", "mine.zarr is in the way"),
    "file as folder": ("{locs} --out {locs}/a.zarr", "cannot be written"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_ends_with_one_line_and_leaves_nothing(
    name, locs, tmp_path, capsys
):
    words, message = WRONG[name]
    (tmp_path / "text.parquet").write_text("no table")
    wide = MovieFacts(130.0, 20_000, 20_000, 1)
    write_parquet(tmp_path / "wide.parquet", table([0.0], [0.0]), wide.to_metadata())
    for other in ("mine_files", "mine.zarr"):
        (tmp_path / other).mkdir()
        (tmp_path / other / "thesis.txt").touch()
    places = {"run": mosaic_run(tmp_path).root, "dir": tmp_path, "locs": locs}
    places |= {"new": tmp_path / "new", "text": tmp_path / "text.parquet"}
    places |= {"wide": tmp_path / "wide.parquet"}
    before = content(tmp_path)
    code = run("render", *words.format(**places).split())
    errors = [e for e in capsys.readouterr().err.splitlines() if e != BANNER]
    assert code == 2
    assert len(errors) == 1, errors
    assert message in errors[0]
    assert content(tmp_path) == before


def test_a_run_without_tables_says_what_makes_them(tmp_path, capsys):
    folder = make_run(tmp_path / "run2", frames={"561": 10}, size=64)
    assert run("render", folder.root, "--channel", "561") == 2
    assert "compute them with `her2sr process" in capsys.readouterr().err
    assert not folder.mosaic("561", "superresolution").parent.exists()


@pytest.mark.parametrize("name", ["sr.dzi", "sr.ome.zarr"])
def test_a_disk_without_room_costs_one_sentence_and_no_former_picture(
    locs, tmp_path, capsys, name
):
    out = tmp_path / name
    assert run("render", locs, "--out", out) == 0
    former = content(tmp_path)
    capsys.readouterr()
    with short_files(600):
        assert run("render", locs, "--out", out) == 1
    err = capsys.readouterr().err.splitlines()
    errors = [e for e in err if e != BANNER and not e.startswith("tiles:")]
    assert len(errors) == 1
    assert f"error: {out} could not be written (File too large)" in errors[0]
    assert content(tmp_path) == former
