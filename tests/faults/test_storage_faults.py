"""A writer that is killed or finds a full disk leaves what its ledger says, no more."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_disks
import tifffile
from small_disks import small_disk

from her2sr_acq.errors import StorageError
from her2sr_acq.storage import Reserve
from her2sr_acq.stream.blocks import Block, BlockPool
from her2sr_acq.stream.sink import Destination, Sink
from her2sr_proc.errors import DataError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import LineWriter

UNIT = UnitKey(run="r1", field="r00_c00", channel="561")
BLOCKS, LENGTH, SIDE = 200, 4, 128


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(small_disks.__file__).parent)}


def writer(run, form="ome-zarr"):
    """Return the command that writes a unit in a process of its own."""
    return [sys.executable, __file__, str(run.root), form]


def pixels(number):
    rng = np.random.default_rng(number)
    return rng.integers(1, 4096, (LENGTH, SIDE, SIDE)).astype(np.uint16)


def write_unit(run, form, before=lambda number: None):
    """Write blocks as the engine does until all are written, or the disk is full.

    ``before`` is called with the number of every block.
    """
    path = run.raw(UNIT, form)
    shape = raw.RawShape(BLOCKS * LENGTH, SIDE, SIDE, LENGTH)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="x")
    pool = BlockPool(buffers=4, pixels=LENGTH * SIDE * SIDE)
    with LineWriter(run.ledger) as ledger, Sink(pool, write=raw.write_block) as sink:
        where = Destination(
            UNIT, path, lambda line: ledger.append(line.model_dump_json()), None
        )
        for number in range(BLOCKS):
            before(number)
            buffer = pool.take(timeout_s=5.0)
            view = buffer.reshape(LENGTH, SIDE, SIDE)
            view[:] = pixels(number)
            times = [0.0] * LENGTH
            sink.put(where, Block(number, number * LENGTH, view, buffer, times))
        sink.drain(timeout_s=30.0)


def require_as_written(run, form):
    """Check that the ledger's blocks are the first ones, each with its pixels."""
    history = read_ledger(run.ledger)[UNIT]
    assert sorted(history.blocks) == list(range(len(history.blocks)))
    for record in history.records():
        found = raw.read_block(run.raw(UNIT), record)
        np.testing.assert_array_equal(found, pixels(record.key.block))
    if form == "ome-tiff":
        raw.finish(run.raw(UNIT), history.records())
        with tifffile.TiffFile(run.raw(UNIT)) as file:
            assert len(file.pages) == history.frames
            np.testing.assert_array_equal(
                file.pages[-1].asarray(), pixels(max(history.blocks))[-1]
            )
    return history


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", ["ome-zarr", "ome-tiff"])
def test_after_sigkill_the_ledgers_frames_are_there(tmp_path, form, seed):
    run = RunFolder(tmp_path / "r1")
    process = subprocess.Popen(writer(run, form), env=ENVIRONMENT)
    deadline = time.monotonic() + 30.0
    while not run.ledger.exists() or run.ledger.stat().st_size == 0:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(random.Random(seed).uniform(0.0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait(10.0)
    assert require_as_written(run, form).blocks


@pytest.mark.parametrize("form", ["ome-zarr", "ome-tiff"])
def test_row_08_a_disk_that_fills_up_keeps_its_blocks_and_room_to_say_so(
    tmp_path, form
):
    with small_disk(tmp_path / "disk", 12) as disk:
        run = RunFolder(disk / "r1")
        reserve = Reserve(disk / ".reserve", 64)
        assert reserve.restore()
        with pytest.raises(StorageError, match="No space left on device"):
            write_unit(run, form)
        reserve.release()
        with LineWriter(disk / "events.jsonl") as events:
            events.append("x" * 50_000)
        history = require_as_written(run, form)
        assert 0 < len(history.blocks) < BLOCKS
        assert not reserve.restore()  # the room it had is spent


@pytest.mark.parametrize("form", ["ome-zarr", "ome-tiff"])
@pytest.mark.parametrize("is_moved", [True, False])
def test_a_folder_that_vanishes_ends_the_writing_and_is_not_made_anew(
    tmp_path, form, is_moved
):
    run, moved = RunFolder(tmp_path / "r1"), tmp_path / "moved"

    def vanish(number):
        if number == BLOCKS // 2:
            run.root.rename(moved)
            if not is_moved:
                shutil.rmtree(moved)

    with pytest.raises(StorageError, match=r"cannot be written|is missing"):
        write_unit(run, form, vanish)
    assert not run.root.exists()
    if is_moved:
        history = require_as_written(RunFolder(moved), form)
        assert 0 < len(history.blocks) < BLOCKS


def test_a_line_is_refused_once_another_file_has_the_name(tmp_path):
    path = tmp_path / "ledger.jsonl"
    with LineWriter(path) as ledger:
        ledger.append("one")
        path.rename(tmp_path / "away.jsonl")
        with pytest.raises(FileNotFoundError):
            ledger.append("two")
        path.touch()
        with pytest.raises(OSError, match="another file has its name"):
            ledger.append("two")
    assert (tmp_path / "away.jsonl").read_text() == "one\n"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(
    "when", [pytest.param(60, id="ledger"), pytest.param(61, id="chunk")]
)
def test_row_09_an_fsync_that_fails_ends_the_writing_and_its_block_does_not_count(
    tmp_path, when
):
    """A block takes five calls: its chunk, three folders, the ledger's line."""
    run = RunFolder(tmp_path / "r1")
    inject = ["-e", "trace=fsync", "-e", f"inject=fsync:error=EIO:when={when}"]
    ended = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(tmp_path / "calls"), *inject, *writer(run)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60.0,
    )
    if "ptrace" in ended.stderr:
        pytest.skip("no right to trace a process here")
    assert "Input/output error" in ended.stderr
    assert len(require_as_written(run, "ome-zarr").blocks) == (when - 1) // 5


def test_a_block_that_was_lost_is_missing_and_not_black(tmp_path):
    run = RunFolder(tmp_path / "r1")
    write_unit(run, "ome-zarr")
    history = read_ledger(run.ledger)[UNIT]
    shutil.rmtree(raw.chunk_path(run.raw(UNIT), 7).parent)
    with pytest.raises(DataError, match="block 7 of r00_c00/561 is missing"):
        raw.read_block(run.raw(UNIT), history.blocks[7])


if __name__ == "__main__":
    write_unit(RunFolder(Path(sys.argv[1])), sys.argv[2])
