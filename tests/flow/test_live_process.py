"""The localizer as a process: it compiles, answers, closes a unit, and ends on ask."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import zmq

from her2sr_acq.child import STEPS
from her2sr_proc.schema.block import BlockHeader, BlockKey, UnitKey
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.schema.manifest import ChannelFacts, FieldFacts, Manifest
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import write_manifest
from her2sr_proc.wire import encode

SIDE, FRAMES, BLOCK = 32, 12, 4
UNIT = UnitKey(run="r1", field="r00_c00", channel="561")


def movie() -> np.ndarray:
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    mean = 100 + 600 * np.exp(-((rows - 16) ** 2 + (columns - 12) ** 2) / 2)
    light = rng.poisson(np.broadcast_to(mean, (FRAMES, SIDE, SIDE)))
    return (100 + light / 0.46).astype(np.uint16)


@pytest.fixture
def data(tmp_path):
    folder = DataFolder(tmp_path / "data")
    run = folder.run("r1")
    channel = ChannelFacts(
        name="561",
        probe="HER2",
        laser_nm=561,
        power_percent=40,
        exposure_ms=30,
        frames=FRAMES,
        role="signal",
    )
    manifest = Manifest(
        run="r1",
        created_utc="2026-01-01T00:00:00Z",
        sample="s",
        operator="o",
        protocol="p",
        plan={},
        channels=(channel,),
        fields=(FieldFacts(name="r00_c00", row=0, column=0, x_um=0, y_um=0),),
        frame_height=SIDE,
        frame_width=SIDE,
        camera=CameraModel(),
        configuration="test",
        configuration_sha256="0",
        versions={},
    )
    write_manifest(run, manifest)
    shape = raw.RawShape(frames=FRAMES, height=SIDE, width=SIDE, block_frames=BLOCK)
    raw.create(run.raw(UNIT), shape, pixel_um=0.13, exposure_ms=30, name="x")
    return folder


class Localizer:
    """The process, with the sockets of the engine's side."""

    def __init__(self, data: Path, runtime: Path) -> None:
        self._context = zmq.Context()
        self.push = self._context.socket(zmq.PUSH)
        self.push.setsockopt(zmq.LINGER, 0)
        self.push.bind(f"ipc://{runtime}/frames.ipc")
        self._address = f"ipc://{runtime}/localizer.ipc"
        module = (sys.executable, "-m", "her2sr_proc.live")
        self.process = subprocess.Popen(
            (*module, "--data", str(data), "--runtime", str(runtime)),
            stderr=subprocess.PIPE,
        )

    def ask(self, verb: str, body: dict, *, within_s: float = 5.0) -> dict | None:
        with self._context.socket(zmq.REQ) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(self._address)
            socket.send_json({"verb": verb, "body": body})
            if not socket.poll(round(1000 * within_s)):
                return None
            return json.loads(socket.recv())["body"]

    def until(self, is_done, *, within_s: float = 60.0) -> dict:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            status = self.ask("status", {})
            if status is not None and is_done(status):
                return status
        raise AssertionError(f"last seen: {status}")

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.push.close()
        self._context.term()


@pytest.fixture
def localizer(data, tmp_path):
    running = Localizer(data.root, tmp_path)
    running.until(lambda status: True, within_s=100)
    yield running
    running.close()


def record_block(data, number: int, adu: np.ndarray, *, published: bool) -> None:
    run = data.run("r1")
    size, digest = raw.write_block(run.raw(UNIT), number, adu)
    line = BlockRecord(
        key=BlockKey(**UNIT.model_dump(), block=number),
        first_frame=number * BLOCK,
        frames=BLOCK,
        bytes=size,
        sha256=digest,
        t_s=(0.0,) * BLOCK,
        published=published,
    )
    with LineWriter(run.ledger) as ledger:
        ledger.append(line.model_dump_json())


def send_block(localizer, number: int, adu: np.ndarray) -> None:
    header = BlockHeader(
        key=BlockKey(**UNIT.model_dump(), block=number),
        first_frame=number * BLOCK,
        frames=BLOCK,
        height=SIDE,
        width=SIDE,
        t_s=(0.0,) * BLOCK,
    )
    localizer.push.send_multipart(encode(header, adu))


def test_a_unit_is_closed_with_what_the_bus_brought_and_the_rest_from_disk(
    data, localizer
):
    adu = movie()
    for number in range(3):
        frames = adu[number * BLOCK : (number + 1) * BLOCK]
        record_block(data, number, frames, published=number != 1)
        if number != 1:
            send_block(localizer, number, frames)
    localizer.ask("close_unit", {"unit": UNIT.model_dump()})
    status = localizer.until(lambda status: status["queued"] == 0)
    assert status["failed"] == {}
    assert status["localized_frames"] == 8
    path = data.run("r1").table(UNIT)
    said = pq.read_schema(path).metadata
    assert (said[b"localized_frames"], said[b"replayed_frames"]) == (b"12", b"4")
    assert sorted(set(pq.read_table(path)["frame"].to_pylist())) == list(range(12))
    assert not data.run("r1").table_parts(UNIT).exists()


def test_it_ends_on_sigterm_before_the_launcher_would_ask_again(localizer):
    kind, patience_s = STEPS[0]
    localizer.process.send_signal(kind)
    _, log = localizer.process.communicate(timeout=patience_s)
    assert localizer.process.returncode == 0
    assert b"localizer stopped" in log
    assert b"Traceback" not in log


def test_without_folders_it_says_what_it_needs():
    done = subprocess.run(
        [sys.executable, "-m", "her2sr_proc.live"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ,
    )
    assert done.returncode == 2
    assert "give --data and --runtime, or --warm" in done.stderr
