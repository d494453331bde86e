"""Frames cut to nuclei give the same localizations there as the whole ones did."""

import shutil

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_acq.plan.models import EveryNth, NucleiOnly, Protocol
from her2sr_acq.storage import discard_raw
from her2sr_proc.burst import localizer_for
from her2sr_proc.errors import DataError
from her2sr_proc.kernels import matched
from her2sr_proc.offline.cropped import localize_crop, within
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.unit import Unit
from her2sr_proc.offline.units import close_unit
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.table import NAMES
from her2sr_proc.store import kept
from her2sr_proc.store.calibrations import camera_of
from her2sr_proc.store.cropping import noise_pixels
from her2sr_proc.store.images import write_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import read_parquet

SIDE, FRAMES = 160, 40
NUCLEI = ((45, 45), (100, 110))


def movie(seed):
    """Uneven ground, bright at the nuclei, with blinking spots all over."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    ground = 30.0 + 20.0 * np.sin(x / 25.0) + 10.0 * np.cos(y / 18.0)
    frames = np.repeat(ground[None], FRAMES, axis=0)
    for frame in frames:
        for row, column in rng.uniform(5, SIDE - 5, (25, 2)):
            near = (y - row) ** 2 + (x - column) ** 2
            frame += 900 * np.exp(-near / (2 * 0.68**2)) / (2 * np.pi * 0.68**2)
    electrons = rng.poisson(frames) + rng.normal(0, 1.6, frames.shape)
    return np.clip(electrons / 0.46 + 100, 0, 65535).astype(np.uint16)


def labels():
    y, x = np.mgrid[:SIDE, :SIDE]
    found = np.zeros((SIDE, SIDE), np.int32)
    for n, (row, column) in enumerate(NUCLEI):
        found[np.hypot(y - row, x - column) < 12] = n + 1
    return found


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    root = tmp_path_factory.mktemp("processed") / "r1"
    folder = make_run(root, frames={"561": FRAMES}, size=SIDE)
    add_unit(folder, "561", movie(1))
    process_run(folder, quiet)
    write_tiff(folder.labels("r00_c00"), labels(), pixel_nm=130.0)
    return folder


@pytest.fixture
def run(processed, tmp_path):
    return RunFolder(shutil.copytree(processed.root, tmp_path / "r1"))


def quiet(*_):
    pass


def crop(run, margin_um=2.6):
    with LineWriter(run.ledger) as ledger:
        return discard_raw(
            run,
            NucleiOnly(nuclei_only=margin_um),
            lambda line: ledger.append(line.model_dump_json()),
            lambda: "2026-01-02T00:00:00Z",
        )


def unit_of(run):
    (history,) = read_ledger(run.ledger).values()
    manifest = read_manifest(run)
    return Unit(run, manifest, history, camera_of(run, manifest))


def test_localizations_inside_are_those_of_the_whole_frames(run):
    whole = unit_of(run)
    localizer = localizer_for(whole.manifest, "561", whole.camera)
    before = localizer.block(movie(1), first_frame=0)
    crop(run)
    unit = unit_of(run)
    expected = within(before, unit.history.discarded.crop, unit)
    found = localize_crop(unit)
    assert 50 < len(expected) < len(before) / 2
    for name in NAMES:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_the_record_says_what_stays_and_it_is_smaller_and_sound(run):
    whole = size_of(run)
    told = crop(run)
    assert "40 raw frames cut to 2 nuclei" in told[0]
    said = unit_of(run).history.discarded
    assert [(b.top, b.left) for b in said.crop.boxes] == [(14, 14), (69, 79)]
    assert said.kept_frames == FRAMES
    assert size_of(run) < 0.7 * whole
    assert not run.raw(said.key).exists()
    assert verify(run, quiet).damage == ()
    assert "around nuclei" in verify(run, quiet).discarded[0]


def size_of(run):
    return sum(p.stat().st_size for p in (run.root / "raw").rglob("*") if p.is_file())


def test_a_table_that_is_lost_is_made_again_from_the_crop(run):
    crop(run)
    unit = unit_of(run)
    run.table(unit.key).unlink()
    close_unit(run, unit.key)
    table, facts = read_parquet(run.table(unit.key))
    assert facts["region"] == "2 boxes around nuclei"
    np.testing.assert_array_equal(table["x_nm"], localize_crop(unit)["x_nm"])


@pytest.mark.parametrize("lose", [True, False])
def test_without_nuclei_every_frame_stays_whole(run, lose):
    path = run.labels("r00_c00")
    if lose:
        path.unlink()
    else:
        write_tiff(path, np.zeros((SIDE, SIDE), np.int32), pixel_nm=130.0)
    told = crop(run)
    assert "raw frames are kept, since no nucle" in told[0]
    assert unit_of(run).history.discarded is None
    assert verify(run, quiet).blocks == 4


@pytest.mark.parametrize("what", ["block", "fill"])
def test_rot_in_what_was_kept_is_found(run, what):
    crop(run)
    key = unit_of(run).key
    path = run.raw_nuclei_fill(key)
    if what == "block":
        path = run.raw_nuclei(key) / "0" / "c" / "1" / "0" / "0"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert "kept frames" in verify(run, quiet).damage[0]
    with pytest.raises(DataError):
        localize_crop(unit_of(run))


def test_the_paper_s_profile_is_refused_on_a_crop(run):
    from her2sr_proc.store.manifest import with_profile

    crop(run)
    (history,) = read_ledger(run.ledger).values()
    paper = with_profile(run, "paper")
    manifest = read_manifest(paper)
    unit = Unit(paper, manifest, history, camera_of(paper, manifest))
    with pytest.raises(DataError, match="process it with `recommended`"):
        localize_crop(unit)


@pytest.mark.parametrize("shape", [(160, 160), (64, 257), (512, 512), (5, 5)])
def test_the_noise_of_a_frame_is_judged_by_the_pixels_that_stay(shape):
    rng = np.random.default_rng(2)
    adu = rng.poisson(400, shape).astype(np.uint16)
    other = np.where(noise_pixels(shape), adu, rng.integers(0, 60000, shape))
    planes = [np.full(shape, v, np.float32) for v in (100.0, 0.46, 1.0)]
    judged = [
        matched.noise_excess.py_func(a.astype(np.uint16), *planes, 1.0)
        for a in (adu, other)
    ]
    assert judged[0] == judged[1]


def test_a_protocol_may_ask_for_it():
    schema = Protocol.model_json_schema()
    assert "NucleiOnly" in str(schema["properties"]["keep_raw"])
    with pytest.raises(ValueError, match=r"greater than or equal to 2\.5"):
        NucleiOnly(nuclei_only=1.0)


def test_labels_of_another_size_cut_nothing(run):
    write_tiff(run.labels("r00_c00"), labels()[:80, :90], pixel_nm=130.0)
    assert "raw frames are kept" in crop(run)[0]
    assert unit_of(run).history.discarded is None
    assert verify(run, quiet).blocks == 4


def test_a_crop_that_rotted_before_the_whole_frames_went_keeps_these(run):
    """Killed between the ledger's line and the removal, and started again."""
    key = unit_of(run).key
    aside = shutil.copytree(run.raw(key), run.root / "aside")
    crop(run)
    aside.rename(run.raw(key))
    chunk = run.raw_nuclei(key) / "0" / "c" / "1" / "0" / "0"
    held = chunk.read_bytes()
    chunk.write_bytes(held[:-1] + b"!")
    assert "raw frames are kept, since those to be kept" in crop(run)[0]
    assert run.raw(key).exists()
    chunk.write_bytes(held)
    crop(run)
    assert not run.raw(key).exists()
    assert verify(run, quiet).damage == ()


def test_frames_that_fill_no_block_are_never_dropped_in_silence(run, monkeypatch):
    monkeypatch.setattr(kept, "block_length", lambda **_: 3)
    with LineWriter(run.ledger) as ledger:
        told = discard_raw(
            run,
            EveryNth(every_nth=10),
            lambda line: ledger.append(line.model_dump_json()),
            lambda: "2026-01-02T00:00:00Z",
        )
    assert "raw frames are kept, since 1 frames are left over" in told[0]
    assert verify(run, quiet).blocks == 4
