"""`her2sr localize` and `her2sr render`: real movies, every option, plain errors."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.tables import read_table

SHARED = Path(
    os.environ.get("HER2SR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
)
needs_movies = pytest.mark.skipif(
    not (SHARED / "blinking_podosome.tif").exists(),
    reason="the public movies are not on this machine",
)


def run(*arguments) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


def counts(frames=8, side=40) -> np.ndarray:
    """Frames with two spots, at (10, 12) and (27.5, 20) pixels."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:side, :side]
    mean = np.full((side, side), 80.0)
    for x, y in ((10, 12), (27.5, 20)):
        mean += 500 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2)
    light = rng.poisson(np.broadcast_to(mean, (frames, side, side)))
    return (100 + light / 0.46).astype(np.uint16)


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, counts(), photometric="minisblack")
    return path


@needs_movies
def test_the_podosome_movie_becomes_a_picture_of_rings_and_fibres(tmp_path, capsys):
    table, picture = tmp_path / "t.csv", tmp_path / "sr.png"
    camera = ("--offset-adu", 3000, "--e-per-adu", 0.02, "--sigma-px", 1.3)
    code = run(
        "localize", SHARED / "blinking_podosome.tif", "--out", table, *camera, "--json"
    )
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (said["frames"], said["height_px"], said["width_px"]) == (300, 60, 60)
    # Nobody knows this movie's camera or its truth: the band only rules out a silent
    # localizer and one that splits noise. A blob that three spots do not explain is
    # given up, which takes an eighth of what a looser rule would list here.
    assert 1200 < said["localizations"] < 6000
    assert run("render", table, "--out", picture, "--size", "60x60") == 0
    with Image.open(picture) as image:
        lit = np.asarray(image.convert("L")) > 40
    assert image.size == (390, 390)
    # Structure, neither an empty picture nor a filled one.
    assert 0.005 < lit.mean() < 0.2


@needs_movies
def test_single_molecules_are_found_on_their_bright_pixels(tmp_path):
    source = SHARED / "single_molecules_pmhc.npz"
    table = tmp_path / "t.parquet"
    camera = ("--offset-adu", 150, "--e-per-adu", 1, "--read-noise-e", 3)
    assert run("localize", source, "--out", table, *camera) == 0
    rows, _ = read_table(table)
    assert 120 < len(rows) < 300
    frames = np.load(source)["frames"]
    x, y = (np.rint(rows[n] / 130).astype(int) for n in ("x_nm", "y_nm"))
    inside = (x >= 0) & (y >= 0) & (x < 128) & (y < 128)
    at = frames[rows["frame"][inside], y[inside], x[inside]]
    assert np.median(at) > 2 * np.median(frames)
    assert run("render", table, "--out", tmp_path / "sr.tif", "--pixel-nm", 40) == 0
    assert read_tiff(tmp_path / "sr.tif").shape == (416, 416)


def test_it_prints_banner_counts_and_rates(movie, tmp_path, capsys):
    assert run("localize", movie, "--out", tmp_path / "t.csv") == 0
    out, err = capsys.readouterr()
    assert BANNER in err
    assert "8 frames of 40 x 40 px, 16 localizations" in out
    for part in ("frames/s", "localizations/s", "input", "fit"):
        assert part in out
    assert run("render", tmp_path / "t.csv", "--out", tmp_path / "sr.tif") == 0
    assert "16 of 16 localizations drawn" in capsys.readouterr().out


def located(movie, tmp_path, *options):
    path = tmp_path / "t.parquet"
    assert run("localize", movie, "--out", path, *options) == 0
    return read_table(path)[0]


def test_a_range_of_frames_keeps_their_numbers(movie, tmp_path):
    table = located(movie, tmp_path, "--frames", "2:5")
    assert sorted(set(table["frame"])) == [2, 3, 4]
    assert sorted(set(located(movie, tmp_path, "--frames", "6:")["frame"])) == [6, 7]


def test_threads_do_not_change_the_table(movie, tmp_path):
    one = located(movie, tmp_path)
    four = located(movie, tmp_path, "--jobs", 4)
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, four[name])


def test_camera_options_scale_photons_and_pixels(movie, tmp_path):
    width = ("--sigma-px", 1, "--sigma-fixed")
    usual = located(movie, tmp_path, *width)
    gain = ("--e-per-adu", 0.92, "--pixel-nm", 65)
    other = located(movie, tmp_path, *gain, *width)
    ratio = other["photons"].mean() / usual["photons"].mean()
    assert ratio == pytest.approx(2, rel=0.01)
    assert other["x_nm"].mean() == pytest.approx(usual["x_nm"].mean() / 2, rel=0.01)
    shifted = located(movie, tmp_path, "--offset-adu", 0, *width)
    assert (shifted["background_photons"] - usual["background_photons"]).mean() == (
        pytest.approx(46, rel=0.05)
    )


def test_electron_multiplication_and_read_noise_widen_the_bound(movie, tmp_path):
    usual = located(movie, tmp_path)["uncertainty_nm"].mean()
    noisy = located(movie, tmp_path, "--read-noise-e", 12)["uncertainty_nm"].mean()
    em = located(movie, tmp_path, "--em-gain", 2, "--e-per-adu", 0.92)
    assert noisy > 1.2 * usual
    assert em["uncertainty_nm"].mean() == pytest.approx(2**0.5 * usual, rel=0.05)


def test_camera_maps_replace_offset_gain_and_read_noise(movie, tmp_path):
    maps = tmp_path / "maps.npz"
    flat = np.ones((40, 40))
    np.savez(
        maps, offset_adu=100 * flat, e_per_adu=0.46 * flat, variance_e2=2.56 * flat
    )
    options = ("--camera-maps", maps, "--offset-adu", 0, "--e-per-adu", 9)
    with_maps = located(movie, tmp_path, *options)
    np.testing.assert_array_equal(with_maps["x_nm"], located(movie, tmp_path)["x_nm"])


def spoilt(value, dtype=np.float64, shape=(40, 40)):
    """A map that is 1 everywhere but at one pixel."""
    array = np.ones(shape, dtype)
    array[3, 5] = value
    return array


BAD_MAPS = {
    "nan": ("offset_adu", spoilt(np.nan), "at 1 pixels, the first in row 3, column 5"),
    "too large": ("variance_e2", spoilt(1e39), "no finite value at 1 pixels"),
    "shape": ("e_per_adu", spoilt(1, shape=(41, 40)), "float64 of shape (41, 40)"),
    "complex": ("e_per_adu", spoilt(1j, np.complex128), "complex128 of shape (40, 40)"),
    "zero gain": ("e_per_adu", spoilt(0), "a gain not above 0"),
    "negative gain": ("e_per_adu", spoilt(-1), "a gain not above 0"),
    "negative variance": ("variance_e2", spoilt(-1), "a variance below 0"),
}


@pytest.mark.parametrize("name", BAD_MAPS)
def test_a_camera_map_with_an_impossible_pixel_is_refused_by_what_is_wrong(
    movie, tmp_path, capsys, name
):
    culprit, array, sentence = BAD_MAPS[name]
    maps, flat = tmp_path / "maps.npz", np.ones((40, 40))
    np.savez(
        maps,
        **{"offset_adu": flat, "e_per_adu": flat, "variance_e2": flat, culprit: array},
    )
    out = tmp_path / "t.csv"
    assert run("localize", movie, "--out", out, "--camera-maps", maps) == 1
    errors = [e for e in capsys.readouterr().err.splitlines() if e != BANNER]
    assert len(errors) == 1
    assert sentence in errors[0]


def test_width_radius_and_threshold_are_taken(movie, tmp_path):
    fixed = located(movie, tmp_path, "--sigma-px", 1.2, "--sigma-fixed")
    np.testing.assert_allclose(fixed["sigma_nm"], 156.0)
    five = located(movie, tmp_path, "--fit-radius-px", 5)
    usual = located(movie, tmp_path)
    assert not np.array_equal(five["x_nm"], usual["x_nm"])
    assert len(located(movie, tmp_path, "--threshold", "20*std(Wave.F1)")) == 0
    same = located(movie, tmp_path, "--threshold", "1.5*std(Wave.F1)")
    assert len(same) == len(usual)


@pytest.mark.parametrize(
    ("formula", "rows"),
    [
        ("2*std(Wave.F1) + 0*mean(I)", 16),
        ("max(F) + 1", 0),
        ("median(I)", 16),
        ("std(F1)^2 / std(F1)", 16),
    ],
)
def test_a_threshold_may_be_a_formula_of_planes(movie, tmp_path, formula, rows):
    assert len(located(movie, tmp_path, "--threshold", formula)) == rows


def test_the_papers_profile_may_be_asked_for_and_changed(movie, tmp_path):
    paper = located(movie, tmp_path, "--profile", "paper")
    assert len(paper) >= 16
    assert (paper["log_likelihood"] < 0).all()
    more = ("--profile", "paper", "--threshold", "20*std(Wave.F1)")
    assert len(located(movie, tmp_path, *more)) == 0


@pytest.mark.parametrize("number", ["20", "2e1", "+20.", ".2e2"])
def test_a_number_as_threshold_is_a_factor_however_it_is_written(
    movie, tmp_path, number
):
    # as photo-electrons, 20 would find every spot
    assert len(located(movie, tmp_path, "--threshold", number)) == 0


def test_one_threshold_said_in_two_ways_gives_one_table(movie, tmp_path):
    short = located(movie, tmp_path, "--threshold", "1.7*std(Wave.F1)")
    long = located(movie, tmp_path, "--threshold", "1.7 * sqrt(var(Wave.F1))")
    np.testing.assert_array_equal(short["x_nm"], long["x_nm"])


@pytest.mark.parametrize(
    ("name", "options"),
    [("t.csv", ("--table-format", "native")), ("t.hdf5", ()), ("t.csv", ())],
)
def test_every_form_of_table_renders_alike(movie, tmp_path, name, options):
    table = tmp_path / name
    assert run("localize", movie, "--out", table, *options) == 0
    size = ("--size", "40x40")
    assert run("render", table, "--out", tmp_path / "a.tif", *size) == 0
    native = tmp_path / "n.parquet"
    assert run("localize", movie, "--out", native) == 0
    assert run("render", native, "--out", tmp_path / "b.tif") == 0
    one, other = read_tiff(tmp_path / "a.tif"), read_tiff(tmp_path / "b.tif")
    np.testing.assert_allclose(one, other, atol=2e-3)


def test_render_options_are_taken(movie, tmp_path, capsys):
    table = tmp_path / "t.parquet"
    assert run("localize", movie, "--out", table) == 0
    out = tmp_path / "sr.tif"
    histogram = ("--method", "histogram", "--pixel-nm", 26)
    assert run("render", table, "--out", out, *histogram) == 0
    image = read_tiff(out)
    assert image.shape == (200, 200)
    assert set(np.unique(image)) <= set(range(17))
    capsys.readouterr()
    options = ("--max-uncertainty-nm", 0.1, "--json")
    assert run("render", table, "--out", out, *options) == 0
    assert json.loads(capsys.readouterr().out)["drawn"] == 0
    png = tmp_path / "sr.png"
    assert run("render", table, "--out", png, "--colour", "green") == 0
    with Image.open(png) as picture:
        assert np.asarray(picture)[..., 1].max() > 200


@pytest.mark.parametrize("suffix", ["csv", "parquet", "hdf5"])
def test_a_movie_without_molecules_gives_an_empty_valid_table(tmp_path, suffix):
    source, table = tmp_path / "dark.npy", tmp_path / f"t.{suffix}"
    np.save(source, np.full((3, 20, 20), 104, np.uint16))
    assert run("localize", source, "--out", table) == 0
    assert len(read_table(table)[0]) == 0
    assert run("render", table, "--out", tmp_path / "sr.png", "--size", "20x20") == 0


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 1, 40), (2, 40, 4), (2, 3, 3)])
@pytest.mark.parametrize("profile", ["paper", "recommended"])
def test_frames_too_small_for_a_fit_are_refused_instead_of_found_empty(
    tmp_path, capsys, shape, profile
):
    source, table = tmp_path / "tiny.npy", tmp_path / "t.csv"
    np.save(source, np.full(shape, 400, np.uint16))
    assert run("localize", source, "--out", table, "--profile", profile) == 2
    assert "choose a smaller --fit-radius-px" in capsys.readouterr().err
    assert not table.exists()


def test_the_smallest_frame_with_room_for_a_fit_gives_its_spot(tmp_path):
    source = tmp_path / "small.npy"
    np.save(source, counts()[:, 9:16, 7:14])
    table = located(source, tmp_path)
    assert len(table) == 8
    np.testing.assert_allclose(table["x_nm"] / 130, 3, atol=0.1)
    np.testing.assert_allclose(table["y_nm"] / 130, 3, atol=0.1)


def broken(tmp_path):
    path = tmp_path / "broken.tif"
    tifffile.imwrite(path, counts(), photometric="minisblack")
    path.write_bytes(path.read_bytes()[:9000])
    return path


WRONG = {
    "no movie": (("localize", "{dir}/none.tif"), "there is no movie"),
    "truncated": (("localize", "{broken}"), "truncated"),
    "form": (("localize", "{movie}", "--table-format", "picasso"), "written as .hdf5"),
    "range": (("localize", "{movie}", "--frames", "5:99"), "frames 0 to 7"),
    "backwards": (("localize", "{movie}", "--frames", "5:2"), "outside the movie"),
    "words": (("localize", "{movie}", "--frames", "all"), "A:B"),
    "name": (
        ("localize", "{movie}", "--threshold", "std(Wave.F9)"),
        "'Wave.F9' is not known in the threshold",
    ),
    "formula": (
        ("localize", "{movie}", "--threshold", "2*(std(F1)"),
        "character 11: ')' is missing",
    ),
    "plane": (
        ("localize", "{movie}", "--threshold", "2*Wave.F1"),
        "gives a plane and not a number",
    ),
    "factor": (("localize", "{movie}", "--threshold", "1e3"), "above 0 and up to 20"),
    "negative": (("localize", "{movie}", "--threshold=-.5"), "above 0 and up to 20"),
    "nothing": (("localize", "{movie}", "--threshold", "log(0-1)"), "is no number"),
    "yes": (("localize", "{movie}", "--threshold", "max(F)>1"), "says yes or no"),
    "essay": (
        ("localize", "{movie}", "--threshold", "1+" * 300 + "mean(I)"),
        "500 characters at most, and this one has 607",
    ),
    "pixel": (("localize", "{movie}", "--pixel-nm", "0"), "greater than or equal to 1"),
    "option": (("localize", "{movie}", "--speed", "9"), "No such option"),
    "maps": (("localize", "{movie}", "--camera-maps", "{movie}"), "must be an .npz"),
    "no maps": (("localize", "{movie}", "--camera-maps", "none.npz"), "no camera maps"),
    "no table": (("render", "{dir}/none.csv"), "there is no table"),
    "movie as table": (("render", "{movie}"), "cannot be read as Parquet"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_ends_with_one_line_and_leaves_nothing(
    name, movie, tmp_path, capsys
):
    arguments, message = WRONG[name]
    places = {"dir": tmp_path, "movie": movie, "broken": broken(tmp_path)}
    out = tmp_path / ("o.csv" if arguments[0] == "localize" else "o.png")
    before = sorted(tmp_path.iterdir())
    code = run(*(a.format(**places) for a in arguments), "--out", out)
    errors = [e for e in capsys.readouterr().err.splitlines() if e != BANNER]
    assert code == (1 if name == "maps" else 2)
    assert len(errors) == 1
    assert message in errors[0]
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("out", "message"), [("t.xls", "name the file .csv"), ("sr.jpg", ".tif or .png")]
)
def test_an_output_of_unknown_kind_is_refused(movie, tmp_path, capsys, out, message):
    verb, source = ("localize", movie) if out == "t.xls" else ("render", movie)
    assert run(verb, source, "--out", tmp_path / out) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["localize", "render"])
@pytest.mark.parametrize("out", ["file/o{}", "folder{}", "new/" + 248 * "a" + "{}"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    tmp_path, capsys, verb, out
):
    suffix = ".csv" if verb == "localize" else ".png"
    (tmp_path / "file").touch()
    (tmp_path / f"folder{suffix}").mkdir()
    # the input is looked at later: it need not even exist
    assert run(verb, "none", "--out", tmp_path / out.format(suffix)) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_yaml_of_something_else_is_not_overwritten(movie, tmp_path, capsys):
    other, out = tmp_path / "scope.yaml", tmp_path / "scope.hdf5"
    other.write_text("lasers: [488, 561]\n")
    assert run("localize", movie, "--out", out) == 2
    assert "choose another name" in capsys.readouterr().err
    assert other.read_text() == "lasers: [488, 561]\n"
    other.unlink()
    assert run("localize", movie, "--out", out) == 0
    assert run("localize", movie, "--out", out) == 0


def test_a_yaml_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "t.yaml").mkdir()
    assert run("localize", "none.tif", "--out", tmp_path / "t.hdf5") == 2
    assert "t.yaml is a folder; rename it" in capsys.readouterr().err


def test_too_fine_an_image_is_refused_before_memory_is_taken(movie, tmp_path, capsys):
    table = tmp_path / "t.parquet"
    assert run("localize", movie, "--out", table) == 0
    fine = ("--pixel-nm", 0.1)
    assert run("render", table, "--out", tmp_path / "sr.tif", *fine) == 2
    assert "choose a larger --pixel-nm" in capsys.readouterr().err


def test_help_needs_none_of_the_heavy_libraries():
    program = (
        "import sys; from her2sr_acq.cli import build; build()\n"
        "heavy = {'numba', 'scipy', 'zarr', 'tifffile', 'pyarrow', 'skimage'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
