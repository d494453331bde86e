"""`her2sr denoise` from movies to a cleaned movie, and what it refuses."""

import json
from contextlib import closing

import numpy as np
import pytest
import tifffile
from fiji_models import write_fiji

from her2sr_acq.cli import main
from her2sr_proc.denoise import unet
from her2sr_proc.denoise.model import read_model
from her2sr_proc.schema.denoise import NetworkForm
from her2sr_proc.store.frames import open_movie

SMALL = [
    "--steps",
    "4",
    "--epochs",
    "2",
    "--batch",
    "2",
    "--frames",
    "8",
    "--jobs",
    "1",
]


def told(capsys, *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()  # what fixtures said
    with pytest.raises(SystemExit) as end:
        main(["denoise", *map(str, arguments)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def refused(capsys, *arguments: object) -> str:
    code, out, err = told(capsys, *arguments)
    assert (code, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


def described(path):
    with tifffile.TiffFile(path) as file:
        return json.loads(file.pages[0].description)


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "movie.npy"
    rng = np.random.default_rng(1)
    light = 500 + 100 * np.sin(np.arange(72) / 7.0)[:, None] * np.ones(80)
    np.save(path, rng.poisson(light, (12, 72, 80)).astype(np.uint16))
    return path


@pytest.fixture
def model(tmp_path):
    """A model of Fiji's, imported, whose network answers with its mean everywhere."""
    weights = unet.fresh(NetworkForm(), np.random.default_rng(2))
    weights["conv2d_1/kernel"] *= 0
    write_fiji(tmp_path / "fiji.zip", weights)
    out = tmp_path / "model.zip"
    with pytest.raises(SystemExit) as end:
        main(["denoise", "import", str(tmp_path / "fiji.zip"), "--out", str(out)])
    assert end.value.code == 0
    return out


def test_a_model_that_was_trained_here_cleans_a_movie(capsys, movie, tmp_path):
    pytest.importorskip("torch", reason="training needs the extra train")
    out = tmp_path / "model.zip"
    code, told_train, _ = told(
        capsys, "train", movie, "--out", out, *SMALL, "--licence", "CC0-1.0", "--json"
    )
    assert code == 0
    assert json.loads(told_train)["steps"] == 8
    card = read_model(out).card
    assert (card.licence, card.training["batch"]) == ("CC0-1.0", 2)
    assert card.movies[0].frames_taken == 8
    assert list(tmp_path.glob("*checkpoint*")) == []
    clean = tmp_path / "clean.tif"
    assert told(capsys, "apply", movie, "--model", out, "--out", clean)[0] == 0
    with closing(open_movie(clean)) as found:
        assert found.shape == (12, 72, 80)


def test_an_interrupted_training_goes_on_when_it_is_given_again(
    capsys, movie, tmp_path, monkeypatch
):
    pytest.importorskip("torch", reason="training needs the extra train")
    from her2sr_proc.denoise.training.trainer import Trainer

    out = tmp_path / "model.zip"
    advance = Trainer.advance

    def stopping(self):
        if self.progress.step == 6:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", stopping)
        assert told(capsys, "train", movie, "--out", out, *SMALL)[0] == 130
    assert not out.exists()
    other = [*SMALL, "--seed", "7"]
    assert "other settings" in refused(capsys, "train", movie, "--out", out, *other)
    code, said, _ = told(capsys, "train", movie, "--out", out, *SMALL, "--json")
    assert (code, json.loads(said)["resumed_at_step"]) == (0, 4)


def test_a_damaged_checkpoint_is_named(capsys, movie, tmp_path):
    pytest.importorskip("torch", reason="training needs the extra train")
    (tmp_path / "model.checkpoint.npz").write_bytes(b"no archive")
    line = refused(capsys, "train", movie, "--out", tmp_path / "model.zip", *SMALL)
    assert "remove it to begin anew" in line


@pytest.mark.parametrize("pixels", ["uint16", "float32"])
def test_a_cleaned_movie_has_the_frames_of_the_movie(capsys, movie, model, pixels):
    out = movie.with_name("clean.tif")
    code, said, err = told(
        capsys,
        *("apply", movie, "--model", model, "--out", out),
        *("--pixels", pixels, "--jobs", 2, "--json"),
    )
    found = tifffile.imread(out)
    facts = described(out)
    assert code == 0
    assert (found.shape, found.dtype) == ((12, 72, 80), np.dtype(pixels))
    assert (found == 500).all()
    assert facts["model_weights_sha256"] == read_model(model).card.weights_sha256
    assert "12 frames of 72 x 80 px" in err
    assert json.loads(said)["frames"] == 12


def test_eight_bits_tell_their_error(capsys, movie, model):
    out = movie.with_name("clean.tif")
    arguments = ("apply", movie, "--model", model, "--out", out, "--int8")
    code, said, _ = told(capsys, *arguments)
    facts = described(out)
    assert code == 0
    assert "8-bit integers: off by 0.00 ADU rms" in said
    assert (facts["precision"], facts["int8_rms_error_adu"]) == ("int8", 0.0)


def test_a_movie_of_another_brightness_is_flagged(capsys, movie, model):
    bright = movie.with_name("bright.npy")
    np.save(bright, np.load(movie) * 10)
    out = movie.with_name("clean.tif")
    _, said, err = told(
        capsys, "apply", bright, "--model", model, "--out", out, "--json"
    )
    assert "another channel" in json.loads(said)["flags"][0]
    assert "flag: the movie has a mean of" in err


def test_a_movie_that_breaks_off_leaves_nothing(capsys, movie, model, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(np.load(movie)):
        tifffile.imwrite(folder / f"{number:02}.tif", frame)
    (folder / "05.tif").write_bytes(b"II*\0")
    out = tmp_path / "clean.tif"
    code, _, err = told(capsys, "apply", folder, "--model", model, "--out", out)
    assert code == 2
    assert "05.tif" in err
    assert list(tmp_path.glob("*clean*")) == []


WRONG = [
    pytest.param(["--pixels", "uint8"], "uint8", id="no such pixels"),
    pytest.param(["--tile-px", "100"], "multiple of 16", id="odd tiles"),
    pytest.param(["--out", "clean.png"], ".tif", id="no TIFF"),
    pytest.param(["--model", "nosuch.zip"], "no model", id="no model"),
    pytest.param(["--model", "movie.npy"], "zip", id="model is a movie"),
]


@pytest.mark.parametrize(("changes", "word"), WRONG)
def test_a_wrong_request_to_apply_is_one_sentence(
    capsys, movie, model, monkeypatch, changes, word
):
    monkeypatch.chdir(movie.parent)
    usual = ["--model", "model.zip", "--out", "clean.tif"]
    assert word in refused(capsys, "apply", "movie.npy", *usual, *changes)
    assert not list(movie.parent.glob("*clean*"))


def test_frames_below_the_least_size_are_refused(capsys, movie, model):
    small = movie.with_name("small.npy")
    np.save(small, np.load(movie)[:, :12])
    out = movie.with_name("clean.tif")
    line = refused(capsys, "apply", small, "--model", model, "--out", out)
    assert "smaller than the 16 x 16" in line


WRONG_TRAIN = [
    pytest.param(["--patch-px", "50"], "--patch-px", id="patch"),
    pytest.param(["--masked-percent", "90"], "--masked-percent", id="share"),
    pytest.param(["--out", "model.h5"], ".zip", id="no zip"),
]


@pytest.mark.parametrize(("changes", "word"), WRONG_TRAIN)
def test_a_wrong_request_to_train_is_one_sentence(
    capsys, movie, monkeypatch, changes, word
):
    monkeypatch.chdir(movie.parent)
    usual = ["--out", "m.zip", *SMALL]
    assert word in refused(capsys, "train", "movie.npy", *usual, *changes)
    assert not list(movie.parent.glob("m*.zip"))
