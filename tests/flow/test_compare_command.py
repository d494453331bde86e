"""`her2sr compare`: one movie by both profiles, on one page that needs no network."""

import json

import numpy as np
import pytest
import tifffile

from her2sr_acq.cli import main
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.profiles import load_profile
from her2sr_proc.store.tables import read_parquet

SIDE, FRAMES = 48, 50


def told(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["compare", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def film(brightness=300.0):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    mean = np.broadcast_to(60.0 + x, (FRAMES, SIDE, SIDE)).copy()
    for column, row in ((14.0, 30.0), (31.0, 16.0)):
        spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 1.3**2))
        mean += rng.poisson(1.0, FRAMES)[:, None, None] * brightness * spot
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, film(), photometric="minisblack")
    return path


def test_both_profiles_find_the_loci_and_the_page_stands_alone(movie, tmp_path, capsys):
    out = tmp_path / "beside"
    code, said, _ = told(
        capsys, movie, "--out", out, "--sigma-nm", 170, "--channel", "561", "--json"
    )
    assert code == 0
    figures = json.loads(said)["profiles"]
    assert set(figures) == {"paper", "recommended"}
    for name in figures:
        rows, _ = read_parquet(out / f"{name}.parquet")
        assert len(rows) == figures[name]["localizations"]
        where = np.column_stack([rows["x_nm"], rows["y_nm"]]) / 130.0
        for locus in ((14.0, 30.0), (31.0, 16.0)):
            near = np.hypot(*(where - locus).T) < 1.0
            assert near.sum() > FRAMES / 3, (name, locus)
        assert figures[name]["digest"] == load_profile(name).digest
    assert read_tiff(out / "paper.tif").shape == (240, 240)  # magnification 5
    assert read_tiff(out / "conventional.tif").shape == (SIDE, SIDE)
    page = (out / "compare.html").read_text()
    assert BANNER in page
    assert page.count("<img") == 3
    assert "drift not taken off" in page  # 50 frames show none, and it says so
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_movie_of_nothing_gives_a_page_without_figures(tmp_path, capsys):
    path = tmp_path / "dark.tif"
    dark = np.random.default_rng(1).poisson(20, (20, 32, 32)) + 100
    tifffile.imwrite(path, dark.astype(np.uint16), photometric="minisblack")
    code, said, _ = told(capsys, path, "--out", tmp_path / "beside")
    assert code == 0
    assert "recommended" in said
    assert "not resolved" in (tmp_path / "beside" / "compare.html").read_text()


def too_small(movie, tmp_path):
    tifffile.imwrite(movie, film()[:, :10, :10], photometric="minisblack")
    return (), 2, "larger than frames"


def other_channel(movie, tmp_path):
    return ("--channel", "640"), 2, "640 is none of them"


def no_movie(movie, tmp_path):
    movie.unlink()
    return (), 2, "there is no movie"


def there_already(movie, tmp_path):
    (tmp_path / "beside").mkdir()
    return (), 2, "exists already"


@pytest.mark.parametrize("spoil", [too_small, other_channel, no_movie, there_already])
def test_what_is_wrong_is_one_sentence_and_nothing_is_left(
    movie, tmp_path, capsys, spoil
):
    more, expected, sentence = spoil(movie, tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    code, _, err = told(capsys, movie, "--out", tmp_path / "beside", *more)
    assert (code, sentence in err) == (expected, True), err
    assert sorted(p.name for p in tmp_path.iterdir()) == before
