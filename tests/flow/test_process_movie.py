"""`her2sr process MOVIE`: either profile, resumed after a kill, timed step by step."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.holding import held
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.tables import read_parquet

HEIGHT, WIDTH, FRAMES = 47, 61, 60
LOCI = ((14.0, 30.0), (31.0, 16.0), (46.0, 33.0))


def told(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["process", *map(str, words)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def film(frames=FRAMES, brightness=300.0):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mean = np.broadcast_to(60.0 + x, (frames, HEIGHT, WIDTH)).copy()
    for column, row in LOCI:
        spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 0.8**2))
        mean += rng.poisson(1.0, frames)[:, None, None] * brightness * spot
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, film(), photometric="minisblack")
    return path


@pytest.mark.parametrize(
    ("profile", "steps"),
    [
        ("paper", {"load", "rolling ball", "threshold", "detect", "fit", "render"}),
        ("recommended", {"load", "detect", "fit", "drift", "link", "filter", "render"}),
    ],
)
def test_a_profile_finds_the_loci_and_says_what_each_step_took(
    profile, steps, movie, tmp_path, capsys
):
    words = (movie, "--profile", profile, "--out", tmp_path / "out", "--json")
    code, said, _ = told(capsys, *words, *(["--channel", "561"] * (profile == "paper")))
    assert code == 0
    summary = json.loads(said)
    made = tmp_path / "out" / profile
    assert summary == json.loads((made / "summary.json").read_text())
    assert summary["banner"] == BANNER
    times = {step["step"]: step for step in summary["times"]["steps"]}
    assert steps <= times.keys()
    assert times["fit"]["calls"] == FRAMES
    assert all(step["elapsed_s"] > 0 for step in times.values())
    rows, _ = read_parquet(made / "localizations.parquet")
    where = np.column_stack([rows["x_nm"], rows["y_nm"]]) / 130.0
    for locus in LOCI:
        assert (np.hypot(*(where - locus).T) < 1.0).sum() > FRAMES / 3
    assert read_tiff(made / "superresolution.tif").sum() > len(LOCI)
    assert not (made / "unfinished").exists()


def test_the_table_is_that_of_one_thread_in_one_piece(movie, tmp_path, capsys):
    told(capsys, movie, "--out", tmp_path / "a", "--jobs", 3)
    one, other = (tmp_path / name for name in ("a", "locs.parquet"))
    with pytest.raises(SystemExit):
        main(["localize", str(movie), "--out", str(other)])
    here, _ = read_parquet(one / "recommended" / "localizations.parquet")
    there, _ = read_parquet(other)
    for name in there.columns:
        np.testing.assert_array_equal(here[name], there[name])


def test_killed_it_goes_on_at_the_last_block(tmp_path, capsys):
    """A real kill in the middle; the second call reads what is missing alone."""
    path = tmp_path / "long.npy"
    np.save(path, np.tile(film(), (24, 1, 1)))
    words = ["process", str(path), "--out", str(tmp_path / "out"), "--jobs", "1"]
    code = f"import sys; from her2sr_acq.cli import main; main({words!r})"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    parts = tmp_path / "out" / "recommended" / "unfinished"
    deadline = time.monotonic() + 60
    while not list(parts.glob("[0-9]*.parquet")):
        assert child.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (parts.parent / "summary.json").exists()
    stood = len(list(parts.glob("[0-9]*.parquet")))
    code, said, _ = told(capsys, path, "--out", tmp_path / "out", "--json")
    assert code == 0
    summary = json.loads(said)
    assert summary["frames_resumed"] == stood * summary["order"]["block_frames"]
    assert 0 < summary["frames_resumed"] < 24 * FRAMES
    told(capsys, path, "--out", tmp_path / "whole")
    here, there = (
        read_parquet(tmp_path / name / "recommended" / "localizations.parquet")[0]
        for name in ("out", "whole")
    )
    np.testing.assert_array_equal(here["x_nm"], there["x_nm"])
    fit = next(s for s in summary["times"]["steps"] if s["step"] == "fit")
    assert fit["calls"] == 24 * FRAMES  # of both calls


def test_what_is_missing_alone_is_computed(movie, tmp_path, capsys):
    words = movie, "--out", tmp_path / "out"
    told(capsys, *words)
    made = tmp_path / "out" / "recommended"
    stamp = (made / "localizations.parquet").stat().st_mtime_ns
    before = (made / "summary.json").read_text()
    told(capsys, *words)
    assert (made / "summary.json").read_text() == before
    (made / "summary.json").write_text(before[:-40])  # torn
    code, _, err = told(capsys, *words)
    assert (code, "remove it, and the same call writes it anew" in err) == (1, True)
    (made / "summary.json").unlink()
    code, said, _ = told(capsys, *words, "--json")
    assert (code, json.loads(before)["localizations"]) == (
        0,
        json.loads(said)["localizations"],
    )
    assert "drift_not_taken_off" in before  # the movie is short
    assert "--segment" not in before  # which is no option of this command
    (made / "superresolution.tif").unlink()
    told(capsys, *words)
    assert read_tiff(made / "superresolution.tif").sum() > 0
    assert (made / "localizations.parquet").stat().st_mtime_ns == stamp


def test_a_threshold_that_removes_everything_is_valid_empty_and_flagged(
    tmp_path, capsys
):
    path = tmp_path / "flat.tif"
    flat = np.full((20, 32, 32), 500, np.uint16)
    tifffile.imwrite(path, flat, photometric="minisblack")
    code, said, _ = told(
        capsys, path, "--profile", "paper", "--channel", "488", "--out",
        tmp_path / "out", "--json",
    )  # fmt: skip
    assert code == 0
    summary = json.loads(said)
    assert summary["localizations"] == 0
    assert summary["left"]["empty_frames"] == 20
    assert any("nothing_left" in flag for flag in summary["flags"])


def truncated(movie, tmp_path):
    data = movie.read_bytes()
    movie.write_bytes(data[: len(data) - HEIGHT * WIDTH])
    return (), 2, "truncated"


def too_few_frames(movie, tmp_path):
    return ("--expect-frames", 5000), 2, "60 frames, not the 5000"


def too_small(movie, tmp_path):
    tifffile.imwrite(movie, film()[:, :4, :], photometric="minisblack")
    return (), 2, "smaller than the box"


def ball_too_large(movie, tmp_path):
    tifffile.imwrite(movie, film()[:, :11, :], photometric="minisblack")
    return ("--profile", "paper", "--channel", "488"), 2, "larger than frames"


def no_channel(movie, tmp_path):
    return ("--profile", "paper"), 2, "say which by --channel"


def no_place(movie, tmp_path):
    (tmp_path / "out").write_text("mine")
    return (), 2, "cannot be written"


def a_model_for_raw_frames(movie, tmp_path):
    return ("--model", tmp_path / "m.zip"), 2, "--model is of the profile paper"


def a_scheduler(movie, tmp_path):
    return ("--scheduler", "local"), 2, "--scheduler cannot be used here"


def of_floats(movie, tmp_path):
    tifffile.imwrite(movie, film().astype(np.float32), photometric="minisblack")
    return (), 2, "float32 pixels"


BAD = [truncated, too_few_frames, too_small, ball_too_large, no_channel, no_place,
       a_model_for_raw_frames, a_scheduler, of_floats]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD)
def test_what_is_wrong_is_one_sentence_and_nothing_is_left(
    spoil, movie, tmp_path, capsys
):
    more, expected, sentence = spoil(movie, tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    code, _, err = told(capsys, movie, "--out", tmp_path / "out", *more)
    assert (code, sentence in err) == (expected, True), err
    assert err.count("error:") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_frame_that_breaks_off_in_the_middle_leaves_nothing(tmp_path, capsys):
    """The sampled frames are sound, one between them was never written."""
    import zarr

    path = tmp_path / "movie.ome.zarr"
    group = zarr.open_group(str(path), mode="w")
    array = group.create_array("0", shape=(60, 47, 61), chunks=(1, 47, 61), dtype="u2")
    array[:] = film()
    chunk = next(p for p in path.rglob("*") if p.is_file() and "c/2/0/0" in str(p))
    chunk.unlink()
    code, _, err = told(capsys, path, "--out", tmp_path / "out")
    assert (code, "never written" in err) == (2, True), err
    assert not (tmp_path / "out").exists()


def test_another_movie_is_not_mixed_into_a_folder(movie, tmp_path, capsys):
    told(capsys, movie, "--out", tmp_path / "out")
    tifffile.imwrite(movie, film()[::-1], photometric="minisblack")
    code, _, err = told(capsys, movie, "--out", tmp_path / "out")
    assert (code, "begun with another movie" in err) == (2, True), err
    code, _, err = told(capsys, movie, "--out", tmp_path / "out", "--pixel-nm", 65)
    assert code == 2


def test_a_run_folder_takes_no_options_of_a_movie(tmp_path, capsys):
    (tmp_path / "manifest.json").write_text("{}")
    code, _, err = told(capsys, tmp_path, "--pixel-nm", 100)
    assert (code, "--pixel-nm cannot be used here" in err) == (2, True)


def test_a_preview_that_was_removed_is_made_again(movie, tmp_path, capsys):
    words = movie, "--out", tmp_path / "out"
    told(capsys, *words)
    preview = tmp_path / "out" / "recommended" / "superresolution.png"
    preview.unlink()
    told(capsys, *words)
    assert preview.exists()


def test_a_second_call_on_the_same_folder_is_refused_and_removes_nothing(
    movie, tmp_path, capsys
):
    made = tmp_path / "out" / "recommended"
    told(capsys, movie, "--out", tmp_path / "out")
    before = sorted(made.iterdir())
    with held(made):
        code, _, err = told(capsys, movie, "--out", tmp_path / "out")
    assert code == 2
    assert "another call is at work" in err
    assert sorted(made.iterdir()) == before


def test_what_a_killed_call_left_half_written_is_swept_away(movie, tmp_path, capsys):
    made = tmp_path / "out" / "recommended"
    made.mkdir(parents=True)
    (made / ".order.partial-1.json").write_text("{")  # killed at its first file
    assert told(capsys, movie, "--out", tmp_path / "out")[0] == 0
    (made / "superresolution.tif").unlink()
    (made / ".superresolution.partial-1.tif").write_bytes(b"II")
    assert told(capsys, movie, "--out", tmp_path / "out")[0] == 0
    assert not list(made.glob(".*"))


def test_results_do_not_go_among_the_frames_of_a_folder(tmp_path, capsys):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, frame in enumerate(film(3)):
        tifffile.imwrite(frames / f"f_{number}.tif", frame)
    for out in (frames, frames / "sub" / "out"):
        code, _, err = told(capsys, frames, "--out", out)
        assert code == 2
        assert "inside the movie" in err
    assert len(list(frames.iterdir())) == 3


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-40])


def overwritten_in_the_middle(path):
    data = bytearray(path.read_bytes())
    data[40:400] = bytes(360)
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [cut_short, overwritten_in_the_middle])
@pytest.mark.parametrize("name", ["localizations", "molecules"])
def test_a_torn_table_is_made_again_and_that_is_said(
    spoil, name, movie, tmp_path, capsys
):
    words = movie, "--out", tmp_path / "out"
    told(capsys, *words)
    made = tmp_path / "out" / "recommended"
    before = {n: read_parquet(made / f"{n}.parquet")[0] for n in ("molecules", name)}
    spoil(made / f"{name}.parquet")
    code, said, err = told(capsys, *words)
    assert code == 0, err
    assert f"flag: made_again: {name}.parquet was damaged" in said
    for one, table in before.items():
        again, _ = read_parquet(made / f"{one}.parquet")
        for column in table.columns:
            np.testing.assert_array_equal(again[column], table[column])
    assert not (made / "unfinished").exists()
