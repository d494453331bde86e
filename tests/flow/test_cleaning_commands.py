"""`her2sr background`, `threshold`, `frames`: whole results, or one sentence."""

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from her2sr_acq.cli import main
from her2sr_proc.background import Cleaning, RollingBall
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.threshold import CleaningParams

SHARED = Path(
    os.environ.get("HER2SR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
)
SIDE = 48


def run(*arguments) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def said(capsys, *arguments) -> dict:
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments) -> str:
    """Return the one line of a refusal, after checking that it is one."""
    assert run(*arguments) in (1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def counts(frames=30, seed=1) -> np.ndarray:
    """A nucleus with spots that fade, on uneven ground with stray light."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    movie = np.empty((frames, SIDE, SIDE), np.uint16)
    for n in range(frames):
        fade = np.exp(-n / 10)
        mean = 150 + x + 200.0 * fade * ((y - 16) ** 2 + (x - 16) ** 2 < 100)
        spots = [(*rng.normal(16, 3, 2), 900 * (0.3 + fade)) for _ in range(3)]
        spots += [(*rng.uniform(0, SIDE, 2), 250 * fade) for _ in range(3)]
        for b, a, height in spots:
            mean += height * np.exp(-((y - b) ** 2 + (x - a) ** 2) / 4)
        movie[n] = rng.poisson(mean)
    return movie


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, counts(), photometric="minisblack")
    return path


@pytest.fixture
def nuclei(tmp_path):
    y, x = np.mgrid[:SIDE, :SIDE]
    path = tmp_path / "nuclei.tif"
    inside = (y - 16) ** 2 + (x - 16) ** 2 < 121
    tifffile.imwrite(path, inside.astype(np.int32))
    return path


@pytest.fixture
def flat(tmp_path, movie, capsys):
    path = tmp_path / "flat.tif"
    assert run("background", movie, "--out", path) == 0
    capsys.readouterr()
    return path


@pytest.mark.skipif(
    not (SHARED / "rolling_ball_imagej.npz").exists(),
    reason="ImageJ's results are not on this machine",
)
@pytest.mark.parametrize("radius", [5, 15])
def test_the_command_gives_imagej_s_own_pixels(tmp_path, capsys, radius):
    data = np.load(SHARED / "rolling_ball_imagej.npz")
    tifffile.imwrite(tmp_path / "a.tif", data["a96x96_in"])
    out = tmp_path / "b.tif"
    told = said(
        capsys, "background", tmp_path / "a.tif", "--radius", radius, "--out", out
    )
    wanted = data[f"a96x96_r{radius}_sub_u16"]
    np.testing.assert_array_equal(tifffile.imread(out), wanted)
    assert (told["frames"], told["radius_px"], told["banner"]) == (1, radius, BANNER)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_background_of_every_frame_is_that_of_the_ball(tmp_path, capsys, dtype):
    frames = counts().astype(dtype)
    np.save(tmp_path / "m.npy", frames)
    for extra, is_smoothed in (([], True), (["--no-smooth", "--jobs", 2], False)):
        out = tmp_path / f"{is_smoothed}.tif"
        told = said(
            capsys,
            *("background", tmp_path / "m.npy", "--radius", 7.5, "--out", out),
            *extra,
        )
        ball = RollingBall((SIDE, SIDE), radius_px=7.5, is_smoothed=is_smoothed)
        np.testing.assert_array_equal(tifffile.imread(out), ball.block(frames))
        assert told["dtype"] == np.dtype(dtype).name
        assert told["is_smoothed"] is is_smoothed


def test_background_and_threshold_are_the_profile_s_cleaning(tmp_path, capsys, flat):
    out = tmp_path / "kept.tif"
    told = said(capsys, "threshold", "apply", flat, "--channel", 488, "--out", out)
    cleaned, left = Cleaning((SIDE, SIDE), CleaningParams(), channel="488").block(
        counts(), first_frame=0
    )
    np.testing.assert_array_equal(tifffile.imread(out), cleaned)
    assert told["pixels_kept"] == left.pixels
    assert told["flags"] == []


def test_labels_by_rule_become_a_line_that_is_applied(tmp_path, capsys, flat, nuclei):
    labels, model, figure, out = (
        tmp_path / n for n in ("l.csv", "m.json", "f.png", "kept.tif")
    )
    told = said(
        capsys,
        *("threshold", "label", flat, "--nuclei", nuclei, "--rate", 0.5),
        *("--margin-px", 3, "--around", 4, "--channel", 488, "--out", labels),
    )
    with labels.open() as file:
        rows = list(csv.DictReader(line for line in file if line[0] != "#"))
    assert [int(r["frame"]) for r in rows] == [r["frame"] for r in told["rows_of"]]
    fitted = said(
        capsys,
        *("threshold", "fit", labels, "--out", model, "--figure", figure),
        *("--least-r2", 0.5),
    )
    assert fitted["rows"] == len(rows) == 12
    assert 0.5 <= fitted["r_squared"] < 1
    assert figure.read_bytes().startswith(b"\x89PNG")
    applied = said(capsys, "threshold", "apply", flat, "--model", model, "--out", out)
    assert applied["model_digest"] == fitted["digest"]
    assert 0 < applied["pixels_kept"] < applied["frames"] * SIDE**2


@pytest.mark.parametrize("kind", ["linear", "sigma", "schedule"])
def test_every_kind_of_model_has_a_figure_and_is_applied(
    tmp_path, capsys, flat, nuclei, kind
):
    labels, model, figure = (tmp_path / n for n in ("l.csv", "m.json", "f.svg"))
    assert run("threshold", "label", flat, "--nuclei", nuclei, "--out", labels) == 0
    capsys.readouterr()
    told = said(
        capsys,
        *("threshold", "fit", labels, "--kind", kind, "--least-r2", 0),
        *("--out", model, "--figure", figure),
    )
    assert told["kind"] == kind
    assert BANNER in figure.read_text()
    for mode in ("tozero", "subtract"):
        out = tmp_path / f"{mode}.tif"
        assert (
            run(
                *("threshold", "apply", flat, "--model", model, "--mode", mode),
                *("--out", out),
            )
            == 0
        )
    kept, less = (
        tifffile.imread(tmp_path / f"{m}.tif") for m in ("tozero", "subtract")
    )
    assert (less <= kept).all()
    assert less.sum() < kept.sum()


def test_a_threshold_that_removes_everything_gives_a_whole_flagged_movie(
    tmp_path, capsys, flat
):
    out = tmp_path / "kept.tif"
    told = said(capsys, "threshold", "apply", flat, "--k", 900, "--out", out)
    assert told["flags"] == ["nothing_left"]
    assert told["frames_without_pixels"] == told["frames"] == 30
    assert tifffile.imread(out).shape == (30, SIDE, SIDE)
    assert not tifffile.imread(out).any()
    assert run("threshold", "apply", flat, "--k", 900, "--out", out) == 0
    assert "nothing is above the thresholds" in capsys.readouterr().out


def test_frames_go_apart_come_together_and_are_kept(tmp_path, capsys, movie):
    folder, whole, kept = tmp_path / "f", tmp_path / "w.tif", tmp_path / "k.ome.tif"
    assert run("frames", "split", movie, "--out", folder) == 0
    files = sorted(p.name for p in folder.iterdir())
    assert (files[0], files[-1], len(files)) == ("m-0001.tif", "m-0030.tif", 30)
    assert run("frames", "combine", *sorted(folder.iterdir()), "--out", whole) == 0
    np.testing.assert_array_equal(tifffile.imread(whole), counts())
    capsys.readouterr()
    told = said(
        capsys,
        *("frames", "keep", whole, "--first", 3, "--last", 29, "--increment", 5),
        *("--out", kept),
    )
    np.testing.assert_array_equal(tifffile.imread(kept), counts()[2:29:5])
    assert (told["frames"], told["first"], told["last"]) == (6, 3, 28)


def test_the_order_of_names_is_natural_unless_it_is_given(tmp_path, capsys):
    for n in (9, 10):
        tifffile.imwrite(tmp_path / f"p_{n}.tif", np.full((SIDE, SIDE), n, np.uint16))
    paths, out = [tmp_path / "p_10.tif", tmp_path / "p_9.tif"], tmp_path / "o.tif"
    assert run("frames", "combine", *paths, "--out", out) == 0
    assert tifffile.imread(out)[:, 0, 0].tolist() == [9, 10]
    assert run("frames", "combine", *paths, "--as-given", "--out", out) == 0
    assert tifffile.imread(out)[:, 0, 0].tolist() == [10, 9]


def test_scrubbed_frames_carry_no_name_in_file_or_text(tmp_path, capsys):
    path, folder = tmp_path / "S12-3456.tif", tmp_path / "f"
    told = {"axes": "TYX", "Info": "Somebody, S12-3456", "finterval": 0.03}
    tifffile.imwrite(path, counts(3), imagej=True, metadata=told)
    assert run("frames", "split", path, "--scrub", "--out", folder) == 0
    assert min(p.name for p in folder.iterdir()) == "frame-0001.tif"
    assert run("background", path, "--scrub", "--out", tmp_path / "b.tif") == 0
    for made in (*folder.iterdir(), tmp_path / "b.tif"):
        assert b"3456" not in made.read_bytes()
        assert b"Somebody" not in made.read_bytes()


WRONG = [
    pytest.param("background M --radius 0", "rolls nowhere", id="radius 0"),
    pytest.param("background M --radius 49", "larger than frames", id="radius 49"),
    pytest.param(
        "background M --expect-frames 5000", "30 frames, not the 5000", id="n"
    ),
    pytest.param("background CUT", "truncated", id="cut"),
    pytest.param("background NONE", "there is no movie", id="missing"),
    pytest.param("background COLOUR", "colour image", id="colour"),
    pytest.param("background NAN", "frame 1 holds values that are no", id="nan"),
    pytest.param("threshold apply NAN --k 4", "frame 1 holds", id="nan threshold"),
    pytest.param("background F64", "float64 pixels", id="float64"),
    pytest.param("threshold apply M", "say which threshold", id="no threshold"),
    pytest.param("threshold apply M --k 0", "--k 0 is no threshold", id="k 0"),
    pytest.param("threshold apply M --k nan", "no threshold", id="k nan"),
    pytest.param("threshold apply CUT --k 4", "truncated", id="cut threshold"),
    pytest.param("threshold apply M --model M", "no JSON of a threshold", id="model"),
    pytest.param("threshold apply M --model NONE --k 4", "two thresholds", id="both"),
    pytest.param("frames keep M --last 31", "1 to 30", id="last"),
    pytest.param("frames keep M --increment 0", "keeps nothing", id="increment"),
    pytest.param("frames combine M SMALL", "join movies of one size", id="sizes"),
    pytest.param("frames combine CUT M", "truncated", id="cut part"),
]


@pytest.mark.parametrize(("line", "words"), WRONG)
def test_bad_input_gives_one_sentence_and_no_file(tmp_path, capsys, movie, line, words):
    places = {
        name: tmp_path / f"{name}.tif" for name in ("CUT", "COLOUR", "NAN", "F64")
    }
    places |= {"M": movie, "SMALL": tmp_path / "s.tif", "NONE": tmp_path / "none.tif"}
    places["CUT"].write_bytes(movie.read_bytes()[:-3000])
    frames = counts(2)
    tifffile.imwrite(places["SMALL"], frames[:, 1:])
    tifffile.imwrite(places["COLOUR"], np.zeros((9, 9, 3), np.uint8), photometric="rgb")
    values = frames.astype(np.float32)
    values[1, 2, 3] = np.nan
    tifffile.imwrite(places["NAN"], values)
    tifffile.imwrite(places["F64"], frames.astype(np.float64))
    words_of = [places.get(word, word) for word in line.split()]
    before = sorted(tmp_path.iterdir())
    message = refused(capsys, *words_of, "--out", tmp_path / "out.tif")
    assert words in message
    assert sorted(tmp_path.iterdir()) == before


def test_a_page_cut_out_of_the_middle_is_told_by_its_number(tmp_path, capsys, movie):
    data = bytearray(movie.read_bytes())
    with tifffile.TiffFile(movie) as file:
        where = file.pages[17].tags["StripOffsets"].valueoffset
    data[where : where + 4] = (2**31).to_bytes(4, "little")
    broken = tmp_path / "broken.tif"
    broken.write_bytes(data)
    for verb in (["background"], ["threshold", "apply", "--k", 4], ["frames", "keep"]):
        message = refused(capsys, *verb, broken, "--out", tmp_path / "o.tif")
        assert re.search(r"page 18\b", message), message
        assert not (tmp_path / "o.tif").exists()


def test_a_movie_is_never_written_over(capsys, movie):
    before = movie.read_bytes()
    for verb in (
        ["background"],
        ["threshold", "apply", "--k", 4],
        ["frames", "keep"],
        ["frames", "combine"],
    ):
        message = refused(capsys, *verb, movie, "--out", movie)
        assert "never written over" in message
    assert movie.read_bytes() == before


def test_a_missing_number_among_frames_is_told(tmp_path, capsys, movie):
    folder, out = tmp_path / "f", tmp_path / "o.tif"
    assert run("frames", "split", movie, "--out", folder) == 0
    capsys.readouterr()
    (folder / "m-0007.tif").unlink()
    assert "number 7 is missing" in refused(
        capsys, "frames", "combine", folder, "--out", out
    )
    assert "taken for a frame" in refused(
        capsys, "frames", "combine", folder, "--out", folder / "o.tif"
    )
    assert "not empty" in refused(capsys, "frames", "split", movie, "--out", folder)
    assert run("frames", "combine", folder, "--allow-gaps", "--out", out) == 0
    assert len(tifffile.imread(out)) == 29


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("mean_adu,sd_adu\n1,2\n", "no column 'threshold_adu'"),
        ("mean_adu,sd_adu,threshold_adu\n1,2,3\n", "too few"),
        ("mean_adu,sd_adu,threshold_adu\n1,-2,3\n", "line 2"),
        ("mean_adu,sd_adu,threshold_adu,colour\n1,2,3,red\n", "unknown column"),
        ("", "no rows"),
    ],
)
def test_labels_that_make_no_model_leave_none(tmp_path, capsys, content, words):
    labels, out = tmp_path / "l.csv", tmp_path / "m.json"
    labels.write_text(content)
    assert words in refused(capsys, "threshold", "fit", labels, "--out", out)
    assert not out.exists()
