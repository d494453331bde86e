"""Files are whole or absent, and what was written is told from what was not."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from her2sr_proc.errors import (
    DataError,
    IntegrityError,
    RequestError,
    StateError,
    system_sentence,
)
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.ledger import BlockRecord, UnitRecord, UnitState
from her2sr_proc.store import atomic, raw, raw_zarr
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import LineWriter, read_lines
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_result

UNIT = UnitKey(run="r1", field="r00_c00", channel="561")
FRAMES = np.random.default_rng(7).integers(0, 65535, (8, 6, 5)).astype(np.uint16)


def record(block: int, size: int, digest: str, frames: int = 4) -> BlockRecord:
    return BlockRecord(
        key=BlockKey(**UNIT.model_dump(), block=block),
        first_frame=4 * block,
        frames=frames,
        bytes=size,
        sha256=digest,
        t_s=(0.0,) * frames,
        published=True,
    )


@pytest.fixture
def unit(tmp_path):
    path = tmp_path / "561.ome.zarr"
    shape = raw.RawShape(frames=8, height=6, width=5, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name="r00_c00/561")
    return path


def test_a_written_block_reads_back_and_opens_as_zarr(unit):
    size, digest = raw.write_block(unit, 1, FRAMES[4:])
    np.testing.assert_array_equal(
        raw.read_block(unit, record(1, size, digest)), FRAMES[4:]
    )
    np.testing.assert_array_equal(zarr.open_array(unit / "0")[4:], FRAMES[4:])


def test_the_unit_is_ome_zarr_with_axes_and_scale(unit):
    ome = zarr.open_group(unit, mode="r").attrs["ome"]
    assert ome["version"] == "0.5"
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]
    assert scale["scale"] == [0.03, 0.13, 0.13]


def test_a_flipped_bit_is_found(unit):
    size, digest = raw.write_block(unit, 0, FRAMES[:4])
    chunk = raw.chunk_path(unit, 0)
    data = bytearray(chunk.read_bytes())
    data[-1] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(IntegrityError, match="checksum"):
        raw.read_block(unit, record(0, size, digest))


def test_a_missing_block_is_not_read_as_zeros(unit):
    with pytest.raises(IntegrityError, match="missing"):
        raw.read_block(unit, record(0, 1, "0" * 64))


@pytest.fixture
def forced(monkeypatch):
    """Every file and folder that is forced to disk, in order."""
    paths, fsync = [], os.fsync

    def note(descriptor):
        paths.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return paths


def test_a_block_is_forced_before_its_name_and_then_every_new_folder(unit, forced):
    raw.write_block(unit, 1, FRAMES[4:])
    chunk = raw.chunk_path(unit, 1)
    file, *folders = forced
    assert file.parent == chunk.parent
    assert file != chunk
    assert folders == [chunk.parents[0], chunk.parents[1], unit / "0" / "c"]


def test_a_new_unit_is_forced_up_to_the_runs_folder(tmp_path, forced):
    run = tmp_path / "r1"
    path = run / "raw" / "r00_c00" / "561.ome.zarr"
    shape = raw.RawShape(frames=8, height=6, width=5, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name="x")
    assert {path / "zarr.json", path / "0" / "zarr.json", path / "0" / "c"} < set(
        forced
    )
    assert forced[-3:] == [path.parent, run / "raw", run]


def test_a_write_that_fails_leaves_no_part_of_a_chunk(unit, monkeypatch):
    def fail(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(raw_zarr, "write_new", fail)
    with pytest.raises(OSError, match="No space"):
        raw.write_block(unit, 1, FRAMES[4:])
    assert [path for path in (unit / "0" / "c").rglob("*") if path.is_file()] == []


def write_half(path):
    path.write_text("ne")
    raise OSError("disk full")


def test_a_failed_write_leaves_the_former_file(tmp_path):
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")
    with pytest.raises(OSError, match="disk"), atomic.replacing(path) as beside:
        write_half(beside)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_told_with_the_file_and_what_helps(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(OSError, match="No space") as full, atomic.replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as `write` does
    said = system_sentence(full.value)
    assert said == (
        f"No space left on device ({path}); make room there, then give the same call "
        f"again"
    )


@pytest.mark.parametrize("folder", ["/proc", "/proc/new"])
def test_a_folder_that_takes_no_files_is_found_out_by_trying(folder):
    with pytest.raises(RequestError, match="choose another folder"):
        atomic.require_writable(Path(folder) / "t.csv")


def test_trying_whether_a_file_can_be_written_leaves_nothing(tmp_path):
    atomic.require_writable(tmp_path / "t.csv")
    atomic.require_writable(tmp_path / "new" / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_is_dropped_and_writing_goes_on(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with LineWriter(path) as writer:
        writer.append("one")
    with path.open("ab") as file:
        file.write(b'{"torn')
    assert read_lines(path) == ["one"]
    with LineWriter(path) as writer:
        writer.append("two")
    assert read_lines(path) == ["one", "two"]


def test_the_ledger_tells_blocks_and_the_last_verdict(tmp_path):
    path = tmp_path / "ledger.jsonl"
    verdict = UnitRecord(
        key=UNIT,
        state=UnitState.PARTIAL,
        requested=8,
        delivered=4,
        written=4,
        published=4,
        started_utc="2026-01-01T00:00:00Z",
        ended_utc="2026-01-01T00:00:01Z",
        reason="camera stalled",
    )
    with LineWriter(path) as writer:
        writer.append(record(0, 9, "a" * 64).model_dump_json())
        writer.append(verdict.model_dump_json())
    history = read_ledger(path)[UNIT]
    assert history.frames == 4
    assert history.verdict == verdict


def test_the_ledger_of_one_field_leaves_the_others_unread(tmp_path):
    path = tmp_path / "ledger.jsonl"
    mine = record(0, 9, "a" * 64).model_dump_json()
    other = mine.replace("r00_c00", "r00_c01")
    path.write_text(f'{mine}\n{other}\n{{"damaged": true}}\n{mine[:40]}')
    histories = read_ledger(path, field="r00_c00")
    assert list(histories) == [UNIT]
    assert histories[UNIT].frames == 4


def test_a_damaged_ledger_line_is_named(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"kind":"block"}\n')
    with pytest.raises(IntegrityError, match="line 1"):
        read_ledger(path)


def test_a_line_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"{}\n{\xff}\n")
    with pytest.raises(IntegrityError, match="line 2 is damaged: it is no text"):
        read_lines(path)


def test_only_a_newline_ends_a_line(tmp_path):
    line = '{"reason":"a\u2028b\x85c"}'
    with LineWriter(tmp_path / "events.jsonl") as writer:
        writer.append(line)
    assert read_lines(tmp_path / "events.jsonl") == [line]


def test_units_are_found_by_their_files_with_attempts(tmp_path):
    run = RunFolder(tmp_path / "r1")
    second = UNIT.model_copy(update={"attempt": 2})
    for key in (UNIT, second):
        run.raw(key).mkdir(parents=True)
    assert list(run.units()) == [second, UNIT]
    assert run.table(second).name == "561.a2.parquet"


def test_a_manifest_that_is_no_text_is_a_plain_error(tmp_path):
    (tmp_path / "manifest.json").write_bytes(b'{"run":"\xff"}')
    with pytest.raises(DataError, match="damaged: it is no text"):
        read_manifest(RunFolder(tmp_path))


def test_a_result_that_is_no_text_is_a_plain_error(tmp_path):
    run = RunFolder(tmp_path)
    run.result.parent.mkdir()
    run.result.write_bytes(b'{"run":"\xff"}')
    with pytest.raises(DataError, match="remove the file and process again"):
        read_result(run)


def test_another_folder_is_no_run_folder(tmp_path):
    with pytest.raises(StateError, match="not a run folder"):
        read_manifest(RunFolder(tmp_path))


def test_a_folder_that_failed_is_gone_though_a_thread_still_writes_into_it(tmp_path):
    out, late = tmp_path / "sr.ome.zarr", []

    def sleep(_: float) -> None:  # meanwhile a writer side by side ends its own file
        if not late:
            late.append(True)
            beside.mkdir()
            (beside / ".zgroup").write_text("{}")

    with (
        pytest.raises(OSError, match="No space"),
        atomic.replacing_folder(out, sleep=sleep) as beside,
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert late
    assert list(tmp_path.iterdir()) == []
