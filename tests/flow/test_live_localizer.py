"""Blocks over a real bus give the tables that the same frames give from disk."""

import contextlib
import json
import threading
import time

import numpy as np
import pytest
import zmq

from her2sr_proc.errors import StateError
from her2sr_proc.live.jobs import Jobs
from her2sr_proc.live.questions import Answerer, QuestionServer
from her2sr_proc.live.subscriber import Subscriber
from her2sr_proc.live.worker import Worker
from her2sr_proc.localizer import localize_block
from her2sr_proc.schema.block import BlockHeader, BlockKey, UnitKey
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.manifest import ChannelFacts, FieldFacts, Manifest
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.manifest import write_manifest
from her2sr_proc.store.tables import read_parquet
from her2sr_proc.wire import encode

SIDE = 48
UNIT = UnitKey(run="r1", field="r00_c00", channel="561")


def movie(frames: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    mean = np.full((frames, SIDE, SIDE), 250.0)
    for frame, (y, x) in enumerate(rng.uniform(6, SIDE - 6, (frames, 2))):
        rows, columns = np.mgrid[:SIDE, :SIDE]
        mean[frame] += 900 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2)
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


def channel(name: str, role: str) -> ChannelFacts:
    return ChannelFacts(
        name=name,
        probe="DAPI" if role == "nuclei" else "HER2",
        laser_nm=int(name),
        power_percent=40,
        exposure_ms=30,
        frames=8,
        role=role,
    )


@pytest.fixture
def data(tmp_path):
    folder = DataFolder(tmp_path / "data")
    manifest = Manifest(
        run="r1",
        created_utc="2026-01-01T00:00:00Z",
        sample="s",
        operator="o",
        protocol="p",
        plan={},
        channels=(channel("561", "signal"), channel("405", "nuclei")),
        fields=(FieldFacts(name="r00_c00", row=0, column=0, x_um=0, y_um=0),),
        frame_height=SIDE,
        frame_width=SIDE,
        camera=CameraModel(),
        configuration="test",
        configuration_sha256="0",
        versions={},
    )
    write_manifest(folder.run("r1"), manifest)
    return folder


def block(number: int, adu: np.ndarray, *, channel: str = "561") -> BlockHeader:
    return BlockHeader(
        key=BlockKey(run="r1", field="r00_c00", channel=channel, block=number),
        first_frame=number * len(adu),
        frames=len(adu),
        height=adu.shape[1],
        width=adu.shape[2],
        t_s=tuple(0.03 * k for k in range(len(adu))),
    )


class Bus:
    """A real PUSH socket, and a worker in a thread that pulls from it."""

    def __init__(self, data: DataFolder, folder) -> None:
        address = f"ipc://{folder}/f.ipc"
        self._context = zmq.Context()
        self._push = self._context.socket(zmq.PUSH)
        self._push.setsockopt(zmq.LINGER, 0)
        self._push.bind(address)
        self.subscriber = Subscriber(address)
        self.worker = Worker(data, self.subscriber)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.worker.run, args=(self._stop,))
        self._thread.start()

    def send(self, parts) -> None:
        self._push.send_multipart(parts)

    def settle(self) -> None:
        """Return when what was sent has been dealt with."""
        self.worker.retire(UnitKey(run="other", field="r00_c00", channel="1"))

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self.subscriber.close()
        self._push.close()
        self._context.term()


@pytest.fixture
def bus(data, tmp_path):
    with contextlib.closing(Bus(data, tmp_path)) as running:
        yield running


def test_parts_of_the_live_worker_are_those_from_disk_bit_for_bit(data, bus, tmp_path):
    adu = movie(8)
    path = tmp_path / "561.ome.zarr"
    shape = raw.RawShape(frames=8, height=SIDE, width=SIDE, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="x")
    for number in range(2):
        frames = adu[4 * number : 4 * number + 4]
        raw.write_block(path, number, frames)
        bus.send(encode(block(number, frames), frames))
    bus.settle()
    stored = raw.open_array(path)
    camera = CameraMaps.uniform(CameraModel(), (SIDE, SIDE))
    for number in range(2):
        live, facts = read_parquet(data.run("r1").table_part(UNIT, number))
        from_disk = localize_block(
            stored[4 * number : 4 * number + 4],
            first_frame=4 * number,
            camera=camera,
            pixel_nm=130.0,
            params=read_params(data),
        )
        assert len(live) >= 4
        for name, column in from_disk.columns.items():
            np.testing.assert_array_equal(live[name], column)
        assert facts == {
            "source": "live",
            "block": str(number),
            "first_frame": str(4 * number),
            "frames": "4",
        }


def read_params(data):
    text = data.run("r1").manifest.read_text()
    return Manifest.model_validate_json(text).profile.localize


def test_malformed_messages_are_counted_and_the_next_block_is_localized(data, bus):
    adu = movie(4)
    good = encode(block(0, adu), adu)
    bus.send([b"nonsense"])
    bus.send([b"{}", b"123"])
    bus.send([bytes(good[0]), bytes(good[1])[:-2]])
    bus.send(good)
    bus.settle()
    assert bus.subscriber.malformed == 3
    assert bus.worker.tally.localized_frames == 4


def test_nuclei_blocks_foreign_runs_and_wrong_sizes_leave_no_part(data, bus):
    adu = movie(2)
    small = np.ascontiguousarray(adu[:, :40, :40])
    stranger = block(0, adu)
    key = BlockKey(run="r2", field="r00_c00", channel="561", block=0)
    stranger = stranger.model_copy(update={"key": key})
    bus.send(encode(block(0, adu, channel="405"), adu))
    bus.send(encode(stranger, adu))
    bus.send(encode(block(1, small), small))
    bus.settle()
    assert bus.worker.tally.failed_blocks == 2
    assert not list(data.root.rglob("*.parquet"))


def test_a_block_that_comes_after_its_unit_was_closed_is_not_written(data, bus):
    adu = movie(2)
    bus.worker.retire(UNIT)
    bus.send(encode(block(0, adu), adu))
    bus.settle()
    assert bus.worker.tally.late_blocks == 1
    assert not data.run("r1").table_part(UNIT, 0).exists()


def test_retiring_waits_for_blocks_on_their_way(data, bus):
    adu = movie(8)
    for number in range(4):
        bus.send(encode(block(number, adu[:2]), adu[:2]))
    bus.worker.retire(UNIT)
    assert bus.worker.tally.localized_frames == 8


class FakeClosing:
    """Notes what it was asked; fails for the run called bad."""

    def __init__(self) -> None:
        self.calls = []
        self.gate = threading.Event()

    def close_unit(self, unit):
        self.gate.wait(5)
        self.calls.append(("unit", unit))

    def close_field(self, run, field):
        self.calls.append(("field", run, field))

    def close_run(self, run):
        if run == "bad":
            raise StateError("run bad has no manifest")
        self.calls.append(("run", run))


class FakeFacts:
    """Knows one unit."""

    def localizations(self, unit):
        return {"blocks": {"0": 12}, "written": 1}

    def summary(self, unit):
        raise StateError("the table of it is not made yet")

    def nuclei(self, unit):
        if unit.field != UNIT.field:
            raise StateError("nothing of it is on disk")
        return {"nuclei": 2, "centres_px": [[1.0, 2.0], [3.0, 4.0]]}


@pytest.fixture
def asked(tmp_path):
    """A function that asks a real question server, and what stands behind it."""
    closing = FakeClosing()
    address = f"ipc://{tmp_path}/q.ipc"
    with contextlib.ExitStack() as stack:
        jobs = stack.enter_context(Jobs(max_queued=3))
        answerer = Answerer(jobs, closing, lambda: {"localized_frames": 7}, FakeFacts())
        stack.enter_context(QuestionServer(address, answerer))
        context = stack.enter_context(zmq.Context())
        socket = stack.enter_context(context.socket(zmq.REQ))
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 5000)
        socket.connect(address)

        def ask(question) -> dict:
            socket.send(question if isinstance(question, bytes) else dumps(question))
            return json.loads(socket.recv())

        stack.callback(closing.gate.set)
        yield ask, closing


def dumps(question) -> bytes:
    return json.dumps(question).encode()


def until_quiet(ask) -> dict:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        body = ask({"verb": "status", "body": {}})["body"]
        if body["queued"] == 0:
            return body
    raise AssertionError("jobs did not end")


def test_jobs_run_in_the_order_they_were_asked_for(asked):
    ask, closing = asked
    closing.gate.set()
    unit = UNIT.model_dump()
    first = ask({"verb": "close_unit", "body": {"unit": unit}})["body"]["job"]
    ask({"verb": "close_field", "body": {"run": "r1", "field": "r00_c00"}})
    ask({"verb": "close_run", "body": {"run": "r1"}})
    status = until_quiet(ask)
    assert closing.calls == [("unit", UNIT), ("field", "r1", "r00_c00"), ("run", "r1")]
    assert status["done"][0] == first
    assert status["localized_frames"] == 7


def test_a_failed_job_is_named_with_its_reason_and_the_next_one_runs(asked, caplog):
    ask, closing = asked
    job = ask({"verb": "close_run", "body": {"run": "bad"}})["body"]["job"]
    ask({"verb": "close_run", "body": {"run": "r1"}})
    status = until_quiet(ask)
    assert status["failed"] == {job: "run bad has no manifest"}
    assert closing.calls == [("run", "r1")]


def test_a_full_queue_is_an_error_and_the_asker_does_not_wait(asked):
    ask, _ = asked
    question = {"verb": "close_unit", "body": {"unit": UNIT.model_dump()}}
    answers = [ask(question) for _ in range(6)]
    refused = [a["error"]["code"] for a in answers if not a["ok"]]
    assert refused
    assert set(refused) == {"bad-state"}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (b"\xff\xfe", "question"),
        ({"verb": "dance", "body": {}}, "no verb 'dance'"),
        ({"verb": "close_run", "body": {"run": "../etc"}}, "'run'"),
        ({"verb": "close_unit", "body": {}}, "'unit'"),
        ({"verb": "status", "body": {}, "more": 1}, "'more'"),
    ],
    ids=["no json", "unknown verb", "path as run", "missing body", "extra key"],
)
def test_a_wrong_question_is_refused_in_one_sentence(asked, question, message):
    ask, _ = asked
    answer = ask(question)
    assert not answer["ok"]
    assert answer["error"]["code"] == "bad-request"
    assert message in answer["error"]["message"]
