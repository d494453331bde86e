"""`her2sr process RUN_DIR --profile paper --model`: cleaned for the fit alone."""

import json
import shutil

import numpy as np
import pytest
from blurring_models import write_blurring
from run_folders import add_unit, make_run

from her2sr_acq.cli import main
from her2sr_proc.burst import localizer_for
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import read_model
from her2sr_proc.offline.denoised import AskedModel, with_models
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.ledger import DiscardRecord
from her2sr_proc.store.layout import FLUCTUATIONS, RunFolder
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import read_manifest, with_profile
from her2sr_proc.store.results import read_result
from her2sr_proc.store.tables import read_parquet

SIDE, FRAMES, BLOCK = 48, 30, 10
COUNTS = {"561": FRAMES, "488": FRAMES, "405": FRAMES}


def film(seed):
    """Return blinks of two loci on a sloping ground, in camera counts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    mean = np.broadcast_to(60.0 + x, (FRAMES, SIDE, SIDE)).copy()
    for column, row in ((14.0, 30.0), (31.0, 16.0)):
        spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 1.4**2))
        mean += rng.poisson(1.0, FRAMES)[:, None, None] * 300.0 * spot
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


MOVIES = {channel: film(seed) for seed, channel in enumerate(COUNTS)}


@pytest.fixture
def run(tmp_path):
    made = make_run(tmp_path / "r1", frames=COUNTS, size=SIDE)
    for channel, movie in MOVIES.items():
        add_unit(made, channel, movie, block=BLOCK)
    return made


def told(capsys, run, *words):
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["process", str(run.root), *map(str, words)])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def apart(run) -> list[RunFolder]:
    """Return the denoised results of a run."""
    return [
        RunFolder(run.root, "paper", path.name.removeprefix("paper-n2v-"))
        for path in sorted((run.root / "profiles").glob("paper-n2v-*"))
    ]


def key_of(run, channel):
    return next(key for key in run.units() if key.channel == channel)


@pytest.mark.timeout(300)  # kernels may not be compiled yet
def test_cleaned_frames_feed_the_fit_and_raw_ones_the_pictures(run, tmp_path, capsys):
    path = write_blurring(tmp_path / "m.zip")
    told(capsys, run, "--profile", "paper")
    plain = with_profile(run, "paper")
    before = {p: p.stat().st_mtime_ns for p in run.root.rglob("*") if p.is_file()}
    code, said, err = told(capsys, run, "--profile", "paper", "--model", path, "--json")
    assert code == 0, err
    assert "for 60 frames on" in err  # said before it begins
    assert before == {p: p.stat().st_mtime_ns for p in before}
    (cleaned,) = apart(run)
    result, model = json.loads(said), read_model(path)
    assert result["denoised_by"] == dict.fromkeys(
        ("561", "488"), model.card.weights_sha256
    )
    assert any("cleaned by Noise2Void before the fit" in f for f in result["flags"])
    steps = {step["step"]: step for step in result["times"]["steps"]}
    assert steps["denoise"]["calls"] == 2 * FRAMES
    for kind in ("conventional", *FLUCTUATIONS):
        here, there = (r.image("r00_c00", "561", kind) for r in (cleaned, plain))
        assert here.read_bytes() == there.read_bytes()
    manifest = read_manifest(cleaned)
    table, facts = read_parquet(cleaned.table(key_of(run, "561")))
    localizer = localizer_for(
        manifest,
        "561",
        CameraMaps.uniform(manifest.camera, (SIDE, SIDE)),
        denoise=Denoiser(model.card, model.onnx),
    )
    expected = localizer.block(MOVIES["561"], first_frame=0)
    np.testing.assert_array_equal(table["x_nm"], expected["x_nm"])
    assert facts["model_sha256"] == model.card.weights_sha256
    raw, _ = read_parquet(plain.table(key_of(run, "561")))
    assert not np.array_equal(raw["x_nm"], table["x_nm"])
    assert "cleaned by Noise2Void" in cleaned.report.read_text()


@pytest.mark.timeout(300)
def test_it_goes_on_and_another_model_is_another_result(run, tmp_path, capsys):
    one = write_blurring(tmp_path / "one.zip")
    other = write_blurring(tmp_path / "other.zip", centre=0.6)
    words = "--profile", "paper", "--model", f"561={one}"
    told(capsys, run, *words)
    (first,) = apart(run)
    assert read_result(first).denoised_by.keys() == {"561"}
    key = key_of(run, "561")
    shutil.rmtree(first.results)
    code, said, err = told(capsys, run, *words, "--json")
    assert (code, "Noise2Void takes" in err) == (0, False)  # nothing is to be cleaned
    first.table(key).write_bytes(first.table(key).read_bytes()[:-30])  # torn
    code, said, err = told(capsys, run, *words, "--json")
    assert (code, "for 30 frames on" in err) == (0, True), err
    steps = {s["step"]: s["calls"] for s in json.loads(said)["times"]["steps"]}
    assert steps["denoise"] == FRAMES
    before = first.table(key).read_bytes()
    paper = with_profile(run, "paper")
    asked = AskedModel(one, "561"), AskedModel(other, "488"), AskedModel(other)
    folders = {with_models(paper, [*some]) for some in (asked[:2], asked[2:], asked)}
    assert len(folders | {first}) == 3  # the last names what the first does
    assert set(apart(run)) == folders | {first}
    assert first.table(key).read_bytes() == before


def for_raw_frames(tmp_path):
    return ("--model", write_blurring(tmp_path / "m.zip")), "of the profile paper"


def unknown_channel(tmp_path):
    path = write_blurring(tmp_path / "m.zip")
    return ("--profile", "paper", "--model", f"405={path}"), "name one of 561, 488"


def two_for_one(tmp_path):
    path = write_blurring(tmp_path / "m.zip")
    return ("--profile", "paper", "--model", path, "--model", path), "two models"


def other_axes(tmp_path):
    path = write_blurring(tmp_path / "m.zip", channels=3)
    return ("--profile", "paper", "--model", path), "batch, channel, y, x"


def too_large(tmp_path):
    path = write_blurring(tmp_path / "m.zip", minimum_px=64)
    return ("--profile", "paper", "--model", path), "smaller than the 64 x 64"


def absent(tmp_path):
    return ("--profile", "paper", "--model", tmp_path / "no.zip"), "there is no model"


def torn(tmp_path):
    path = write_blurring(tmp_path / "m.zip")
    path.write_bytes(path.read_bytes()[:-40])
    return ("--profile", "paper", "--model", path), "m.zip"


def without_a_file(tmp_path):
    return ("--profile", "paper", "--model", "561="), "names no file"


BAD = [for_raw_frames, unknown_channel, two_for_one, other_axes, too_large, absent,
       torn, without_a_file]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD)
def test_a_model_that_does_not_suit_is_refused_and_nothing_is_left(
    spoil, run, tmp_path, capsys
):
    words, sentence = spoil(tmp_path)
    before = sorted(run.root.rglob("*"))
    code, out, err = told(capsys, run, *words)
    assert code == 2  # as `her2sr denoise apply` says of the same file
    assert (out, err.count("error:"), sentence in err) == ("", 1, True), err
    assert sorted(run.root.rglob("*")) == before


@pytest.mark.parametrize("model", [True, False], ids=["cleaned", "paper"])
def test_discarded_frames_are_not_asked_of_another_profile(
    model, run, tmp_path, capsys
):
    with LineWriter(run.ledger) as ledger:
        for key in run.units():
            said = DiscardRecord(
                key=key, utc="2026-01-01T00:00:00Z", by="offload", frames=FRAMES,
                reason="a verified copy stands in /share",
            )  # fmt: skip
            ledger.append(said.model_dump_json())
            shutil.rmtree(run.raw(key))
    before = sorted(run.root.rglob("*"))
    words = ["--model", write_blurring(tmp_path / "m.zip")] if model else []
    code, out, err = told(capsys, run, "--profile", "paper", *words)
    assert (code, out, err.count("error:")) == (2, "", 1), err
    assert "were discarded at 2026-01-01T00:00:00Z by offload (a verified copy" in err
    assert sorted(run.root.rglob("*")) == before
