"""Blocks, writer and bus: bounded memory, nothing waits for the localizer."""

import threading
import time

import numpy as np
import pytest
import zmq
from short import short_folder

from her2sr_acq.devices.ports import Frame
from her2sr_acq.errors import DeviceError, StorageError
from her2sr_acq.stream.blocks import Assembler, BlockPool
from her2sr_acq.stream.publisher import Publisher
from her2sr_acq.stream.sink import Destination, Sink
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.wire import decode

UNIT = UnitKey(run="r1", field="r00_c00", channel="561")
SHAPE = (4, 3, 2)


def frame(index: int, shape=SHAPE[1:]) -> Frame:
    return Frame(index, 0.1 * index, np.full(shape, index, np.uint16))


def assemble(pool, frames, hand_on, **options):
    assembler = Assembler(pool, SHAPE, hand_on, timeout_s=0.05, **options)
    return [assembler.add(frame(index)) for index in range(frames)], assembler


def pool_of(buffers: int) -> BlockPool:
    return BlockPool(buffers=buffers, pixels=24)


def test_frames_become_numbered_blocks_with_their_times():
    blocks = []
    completed, _ = assemble(pool_of(3), 9, blocks.append)
    assert completed == [False, False, False, True] * 2 + [False]
    headers = [block.header(UNIT) for block in blocks]
    assert [(h.key.block, h.first_frame, h.frames) for h in headers] == [
        (0, 0, 4),
        (1, 4, 4),
    ]
    assert headers[1].t_s == pytest.approx((0.4, 0.5, 0.6, 0.7))
    np.testing.assert_array_equal(blocks[1].adu[:, 0, 0], [4, 5, 6, 7])


def test_a_block_is_a_copy_of_what_the_camera_lent():
    blocks = []
    assembler = Assembler(pool_of(1), (1, 3, 2), blocks.append, timeout_s=0.05)
    lent = frame(5)
    assembler.add(lent)
    lent.adu[:] = 0
    assert blocks[0].adu.max() == 5


def test_no_memory_is_made_beyond_the_pool():
    held = []
    pool = pool_of(2)
    assemble(pool, 8, held.append)
    with pytest.raises(StorageError, match="disk is too slow: 2 blocks wait"):
        pool.take(timeout_s=0.01)
    pool.give_back(held[0].buffer)
    assert pool.take(timeout_s=0.01) is held[0].buffer


def test_an_unfinished_block_gives_its_buffer_back():
    pool = pool_of(1)
    _, assembler = assemble(pool, 2, print)
    assembler.discard()
    assembler.discard()
    assert pool.take(timeout_s=0.01).size == 24
    with pytest.raises(StorageError):
        pool.take(timeout_s=0.01)  # it was given back once


def test_a_frame_of_another_size_is_refused():
    assembler = Assembler(pool_of(1), SHAPE, print, timeout_s=0.05)
    with pytest.raises(DeviceError, match="region of interest"):
        assembler.add(frame(0, shape=(3, 3)))


# --- the writer


def destination(tmp_path, records, publish=None):
    return Destination(UNIT, tmp_path / "561.ome.zarr", records.append, publish)


def run_sink(pool, tmp_path, write, *, publish=None, frames=8):
    records = []
    with Sink(pool, write=write, check=believe) as sink:
        where = destination(tmp_path, records, publish)
        assemble(pool, frames, lambda block: sink.put(where, block))
        sink.drain(timeout_s=2.0)
    return records


def store(path, number, prepared):
    return 10 + number, f"{number:064x}"


def believe(path, number, prepared):
    """Read nothing back."""


def test_what_is_written_is_recorded_in_order_and_its_buffer_freed(tmp_path):
    pool = pool_of(2)
    records = run_sink(pool, tmp_path, store, frames=24)
    assert [record.key.block for record in records] == list(range(6))
    assert [record.bytes for record in records] == list(range(10, 16))
    assert not any(record.published for record in records)


def test_a_block_is_on_disk_before_the_bus_and_on_the_bus_before_the_ledger(tmp_path):
    told = []

    def write(path, number, prepared):
        told.append("disk")
        return store(path, number, prepared)

    def check(path, number, prepared):
        told.append("read back")

    def publish(header, adu):
        told.append("bus")
        return True

    pool = pool_of(1)
    with Sink(pool, write=write, check=check) as sink:
        where = Destination(UNIT, tmp_path, lambda _: told.append("ledger"), publish)
        assemble(pool, 4, lambda block: sink.put(where, block))
        sink.drain(timeout_s=2.0)
    assert told == ["disk", "read back", "bus", "ledger"]


def fail(path, number, adu):
    raise OSError(28, "No space left on device")


def test_the_first_error_reaches_the_engine_and_ends_the_writing(tmp_path):
    pool, records = pool_of(2), []
    with Sink(pool, write=fail) as sink:
        where = destination(tmp_path, records)
        assemble(pool, 4, lambda block: sink.put(where, block))
        with pytest.raises(StorageError, match="No space left on device"):
            sink.drain(timeout_s=2.0)
        with pytest.raises(StorageError, match="No space left on device"):
            assemble(pool, 4, lambda block: sink.put(where, block))
    assert records == []
    pool.take(timeout_s=0.01)
    pool.take(timeout_s=0.01)


def raw_unit(tmp_path, name):
    path = tmp_path / name
    shape = raw.RawShape(frames=12, height=3, width=2, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="x")
    return path


@pytest.mark.parametrize("name", ["561.ome.zarr", "561.ome.tif"])
def test_every_recorded_block_reads_back_from_disk(tmp_path, name):
    path, records, pool = raw_unit(tmp_path, name), [], pool_of(3)
    with Sink(pool, write=raw.write_block) as sink:
        where = Destination(UNIT, path, records.append, None)
        assemble(pool, 12, lambda block: sink.put(where, block))
        sink.drain(timeout_s=5.0)
    frames = np.concatenate([raw.read_block(path, record) for record in records])
    np.testing.assert_array_equal(frames[:, 0, 0], range(12))


def rot(path):
    """Change the last byte of a file."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["561.ome.zarr", "561.ome.tif"])
def test_a_block_that_does_not_read_back_is_not_recorded(tmp_path, name):
    path, records, pool = raw_unit(tmp_path, name), [], pool_of(3)

    def write(path, number, prepared):
        said = raw.write_block(path, number, prepared)
        if number == 1:
            rot(path if raw.is_tiff(path) else raw.chunk_path(path, 1))
        return said

    with Sink(pool, write=write) as sink:
        where = Destination(UNIT, path, records.append, None)
        assemble(pool, 8, lambda block: sink.put(where, block))
        with pytest.raises(StorageError, match="does not read back as it was written"):
            sink.drain(timeout_s=5.0)
    assert [record.key.block for record in records] == [0]


def test_a_block_is_encoded_while_the_one_before_is_written(tmp_path):
    pool, second_is_ready = pool_of(3), threading.Event()

    def prepare(path, adu):
        if adu[0, 0, 0] == 4:
            second_is_ready.set()
        return raw.prepare(path, adu)

    def write(path, number, prepared):
        assert second_is_ready.wait(5.0)
        return store(path, number, prepared)

    records = []
    with Sink(pool, write=write, prepare=prepare, check=believe) as sink:
        where = destination(tmp_path, records)
        assemble(pool, 8, lambda block: sink.put(where, block))
        sink.drain(timeout_s=5.0)
    assert len(records) == 2


def test_a_disk_that_hangs_is_noticed(tmp_path):
    pool, go_on = pool_of(1), threading.Event()

    def hang(path, number, adu):
        go_on.wait(5.0)
        return store(path, number, adu)

    with Sink(pool, write=hang, check=believe) as sink:
        where = destination(tmp_path, [])
        assemble(pool, 4, lambda block: sink.put(where, block))
        with pytest.raises(StorageError, match="still not written"):
            sink.drain(timeout_s=0.05)
        go_on.set()


# --- the bus


def full_block(number=0):
    blocks = []
    assemble(pool_of(1), 4, blocks.append)
    return blocks[0]


@pytest.fixture
def address():
    with short_folder() as folder:
        yield f"ipc://{folder}/f"


def test_without_a_localizer_every_block_is_refused_and_counted(address):
    block = full_block()
    with Publisher(address) as publisher:
        taken = [publisher.publish(block.header(UNIT), block.adu) for _ in range(5)]
        assert taken == [False] * 5
        assert publisher.refused == 5


@pytest.fixture
def pull(address):
    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 1)
        socket.connect(address)
        yield socket


def publish_once_connected(publisher, block):
    deadline = time.monotonic() + 5.0
    while not publisher.publish(block.header(UNIT), block.adu):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_localizer_gets_the_block_as_it_was_when_it_was_sent(address, pull):
    block = full_block()
    with Publisher(address) as publisher:
        publish_once_connected(publisher, block)
        block.adu[:] = 999  # the buffer is used again
        assert pull.poll(2000)
        header, adu = decode(pull.recv_multipart())
    assert header == block.header(UNIT)
    np.testing.assert_array_equal(adu[:, 0, 0], [0, 1, 2, 3])


def test_a_localizer_that_does_not_read_never_blocks_the_writer(address, pull):
    big = np.zeros((4, 512, 512), np.uint16)
    header = full_block().header(UNIT).model_copy(update={"height": 512, "width": 512})
    with Publisher(address, high_water=2) as publisher:
        publish_once_connected(publisher, full_block())
        refused_before = publisher.refused
        began = time.monotonic()
        taken = [publisher.publish(header, big) for _ in range(40)].count(True)
        assert time.monotonic() - began < 2.0
        assert publisher.refused - refused_before == 40 - taken
        # Two wait to be sent, one to be read; a few more may be on their way.
        assert taken <= 10
        for _ in range(1 + taken):
            assert pull.poll(5000)
            pull.recv_multipart()
        assert not pull.poll(50)  # what was refused never comes
