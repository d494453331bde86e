"""The locked profiles: their files say what the program does, and notice a change."""

from dataclasses import replace

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.burst import localizer_for
from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import PROFILES
from her2sr_proc.store import profiles
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest, with_profile, write_manifest
from her2sr_proc.store.profiles import dump_profile, load_profile
from her2sr_proc.store.results import read_result
from her2sr_proc.store.tables import read_parquet

SIDE, FRAMES = 48, 30


def quiet(*_):
    pass


def film(seed, frames=FRAMES):
    """Return blinks of two loci on a sloping ground, in camera counts."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    mean = np.broadcast_to(60.0 + x, (frames, SIDE, SIDE)).copy()
    for column, row in ((14.0, 30.0), (31.0, 16.0)):
        spot = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 1.4**2))
        mean += rng.poisson(1.0, frames)[:, None, None] * 300.0 * spot
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


@pytest.fixture
def run(tmp_path):
    counts = {"561": FRAMES, "488": FRAMES, "405": FRAMES}
    made = make_run(tmp_path / "r1", frames=counts, size=SIDE)
    for seed, channel in enumerate(counts):
        add_unit(made, channel, film(seed))
    return made


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.name)
def test_a_file_says_what_the_program_does(profile):
    """`tools/profiles.py` writes them anew where a setting was meant to change."""
    assert load_profile(profile.name) == profile
    file = profiles.resources.files("her2sr_proc") / "profiles" / f"{profile.name}.yaml"
    assert file.read_text() == dump_profile(profile)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("radius_px: 15.0", "radius_px: 5.0", "was changed"),
        ("name: paper", "name: recommended", "was changed"),
        ("radius_px: 15.0", "radius_px: -1", "cannot be read"),
        ("digest:", "digests:", "cannot be read"),
        ("version: 1", "version: [", "cannot be read"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_refused(
    tmp_path, monkeypatch, old, new, sentence
):
    folder = tmp_path / "profiles"
    folder.mkdir()
    text = dump_profile(PROFILES[1])
    assert old in text
    (folder / "paper.yaml").write_text(text.replace(old, new, 1))
    monkeypatch.setattr(profiles.resources, "files", lambda _: tmp_path)
    profiles.load_profile.cache_clear()
    with pytest.raises(DataError, match=sentence):
        load_profile("paper")
    profiles.load_profile.cache_clear()


@pytest.mark.timeout(300)  # two profiles, whose kernels may not be compiled yet
def test_another_profile_answers_beside_the_runs_own(run):
    own = process_run(run, quiet)
    before = {p: p.stat().st_mtime_ns for p in run.root.rglob("*") if p.is_file()}
    paper = with_profile(run, "paper")
    beside = process_run(paper, quiet)
    assert (own.profile, beside.profile) == ("recommended", "paper")
    assert (own.headline, beside.headline) == ("sr_merged", "sr")
    assert beside.profile_digest == load_profile("paper").digest
    assert read_result(run) == own
    assert read_result(paper) == beside
    assert paper.report == run.root / "profiles" / "paper" / "report.html"
    assert before == {p: p.stat().st_mtime_ns for p in before}
    # the paper's localizations are others, of the same frames
    key = next(k for k in run.units() if k.channel == "561")
    rows, metadata = read_parquet(paper.table(key))
    assert metadata["localized_frames"] == str(FRAMES)
    assert len(rows) > FRAMES / 2
    assert len(rows) != len(read_parquet(run.table(key))[0])


def test_its_own_profile_is_no_other_one(run):
    assert with_profile(run, "recommended") == run
    assert with_profile(run, None) == run
    write_manifest(run, read_manifest(with_profile(run, "paper")))
    assert with_profile(run, "paper") == run
    assert with_profile(run, "recommended").profile == "recommended"


def test_a_cleaned_frame_does_not_depend_on_its_block(run):
    manifest = read_manifest(with_profile(run, "paper"))
    camera = CameraMaps.uniform(manifest.camera, (SIDE, SIDE))
    localizer = localizer_for(manifest, "488", camera)
    movie = film(1)
    whole = localizer.block(movie, first_frame=0)
    parts = [
        localizer.block(movie[first : first + 7], first_frame=first)
        for first in range(0, FRAMES, 7)
    ]
    for name in ("frame", "x_nm", "photons"):
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(whole[name], joined)
    assert len(whole)
    assert len(localizer.block(movie[:0], first_frame=0)) == 0


def test_a_channel_that_the_paper_has_no_threshold_for_is_refused(run):
    manifest = read_manifest(with_profile(run, "paper"))
    channels = (manifest.channels[0].model_copy(update={"name": "640"}),)
    other = manifest.model_copy(update={"channels": channels})
    camera = CameraMaps.uniform(manifest.camera, (SIDE, SIDE))
    with pytest.raises(RequestError, match="640 is none of them"):
        localizer_for(other, "640", camera)
    assert replace(RunFolder(run.root), profile="paper").made != run.root
