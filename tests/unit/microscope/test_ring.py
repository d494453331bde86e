"""The frame ring: pixels arrive whole and in order; slow readers are waited for."""

import threading

import numpy as np
import pytest
from short import short_folder

from simulators.faults.options import Strike
from simulators.ring import (
    Arrival,
    Ending,
    FrameReceiver,
    FrameSender,
    RingOverflowError,
)
from simulators.slots import FrameRing, slots_for

SHAPE = (3, 5)


def never() -> bool:
    return False


class Pair:
    """A sender and its receiver in one process, each with a mapping of its own."""

    def __init__(self, folder, *, slots=4, hold_s=0.05):
        self.address = f"ipc://{folder / 'frames'}"
        self.path = folder / "ring"
        self.sender = FrameSender(
            FrameRing.make(self.path, SHAPE, slots=slots), self.address, hold_s=hold_s
        )
        self.slots = slots

    def connect(self, name=b"reader"):
        ring = FrameRing(self.path, SHAPE, slots=self.slots)
        return FrameReceiver(ring, self.address, name)

    def send(self, frame, value):
        slot, pixels = self.sender.claim(never)
        pixels[:] = value
        self.sender.publish(frame, slot, frame / 10.0)


@pytest.fixture
def folder():
    with short_folder() as folder:
        yield folder


@pytest.fixture
def pair(folder):
    pair = Pair(folder)
    yield pair
    pair.sender.close()


def next_note(receiver):
    while (note := receiver.receive(timeout_s=2.0)) is None:
        pass
    return note


def test_frames_arrive_in_order_with_their_pixels_and_times(pair):
    receiver = pair.connect()
    pair.sender.begin(1, b"reader")
    for frame in range(10):
        pair.send(frame, 100 + frame)
        arrival = next_note(receiver)
        assert arrival == Arrival(frame, frame % pair.slots, frame / 10.0)
        assert np.all(receiver.pixels(arrival) == 100 + frame)
        receiver.give_back(arrival)
    pair.sender.finish(exposed=10, lost=0)
    assert next_note(receiver) == Ending(exposed=10, lost=0)
    receiver.close()


def test_a_full_ring_is_an_overflow_only_after_the_bound(pair):
    receiver = pair.connect()
    pair.sender.begin(1, b"reader")
    for frame in range(pair.slots):
        pair.send(frame, frame)
    with pytest.raises(RingOverflowError, match="no slot back within"):
        pair.send(pair.slots, 0)
    receiver.give_back(next_note(receiver))
    pair.send(pair.slots, 9)
    receiver.close()


def test_a_slow_reader_holds_the_writer_back(folder):
    pair, order = Pair(folder, hold_s=10.0), []
    receiver = pair.connect()
    pair.sender.begin(1, b"reader")
    for frame in range(pair.slots):
        pair.send(frame, frame)
    arrival = next_note(receiver)

    def give_back():
        order.append("read")
        receiver.give_back(arrival)

    late = threading.Timer(0.02, give_back)
    late.start()
    pair.send(pair.slots, 9)
    order.append("sent")
    late.join()
    assert order == ["read", "sent"]
    receiver.close()
    pair.sender.close()


def test_a_halted_writer_does_not_wait_for_a_slot(pair):
    receiver = pair.connect()
    pair.sender.begin(1, b"reader")
    for frame in range(pair.slots):
        pair.send(frame, frame)
    assert pair.sender.claim(lambda: True) is None
    receiver.close()


def test_a_burst_without_a_reader_does_not_begin(pair):
    with pytest.raises(RingOverflowError, match="did not connect"):
        pair.sender.begin(1, b"nobody")


def test_a_reader_that_is_gone_ends_the_burst(pair):
    receiver = pair.connect()
    pair.sender.begin(1, b"reader")
    pair.send(0, 0)
    receiver.close()
    with pytest.raises(RingOverflowError):
        send_many(pair)


def send_many(pair):
    for frame in range(1, 10):
        pair.send(frame, frame)


def test_slots_of_a_dead_reader_serve_the_next(pair):
    first = pair.connect(b"first")
    pair.sender.begin(1, b"first")
    for frame in range(pair.slots):
        pair.send(frame, frame)
    first.close()
    second = pair.connect(b"second")
    pair.sender.begin(2, b"second")
    pair.send(0, 77)
    assert np.all(second.pixels(next_note(second)) == 77)
    second.close()


def test_what_a_former_reader_gives_back_is_not_counted(pair):
    former, present = pair.connect(b"former"), pair.connect(b"present")
    pair.sender.begin(1, b"former")
    pair.send(0, 0)
    stale = next_note(former)
    pair.sender.begin(2, b"present")
    for frame in range(pair.slots):
        pair.send(frame, frame)
    former.give_back(stale)
    with pytest.raises(RingOverflowError):
        pair.send(pair.slots, 0)
    former.close()
    present.close()


def test_the_file_is_private_and_holds_every_page(tmp_path):
    FrameRing.make(tmp_path / "ring", (64, 64), slots=4)
    status = (tmp_path / "ring").stat()
    assert status.st_mode & 0o777 == 0o600
    assert status.st_blocks * 512 >= 4 * 64 * 64 * 2


def test_notes_that_travel_in_company_arrive_in_order_and_free_all_slots():
    with short_folder() as folder:
        pair = Pair(folder, slots=16)
        receiver = pair.connect()
        pair.sender.begin(1, b"reader", batch=4)
        for frame in range(60):
            pair.send(frame, frame)
            if frame % 4 != 3:
                continue
            for number in range(frame - 3, frame + 1):
                arrival = next_note(receiver)
                assert arrival.frame == number
                assert np.all(receiver.pixels(arrival) == number)
                receiver.give_back(arrival)
        pair.send(60, 0)
        pair.sender.finish(exposed=61, lost=0)
        assert next_note(receiver).frame == 60
        assert next_note(receiver) == Ending(exposed=61, lost=0)
        receiver.close()
        pair.sender.close()


def test_a_full_ring_is_sent_before_its_writer_waits(pair):
    receiver = pair.connect()
    pair.sender.begin(1, b"reader", batch=100)
    for frame in range(pair.slots):
        pair.send(frame, frame)
    with pytest.raises(RingOverflowError):
        pair.send(pair.slots, 0)
    assert next_note(receiver).frame == 0
    receiver.close()


def test_what_befalls_a_frame_travels_with_it(pair):
    receiver = pair.connect()
    pair.sender.begin(1, b"reader")
    told = Strike(number=7, kind="hangs", duration_s=2.0, holds_gil=True)
    slot, _ = pair.sender.claim(never)
    pair.sender.publish(0, slot, 0.0, told)
    heard = next_note(receiver).strike
    assert heard == told.model_copy(update={"number": 0})
    receiver.close()


def test_small_frames_have_more_slots():
    assert slots_for((64, 64)) == 256
    assert slots_for((2048, 2048)) == 16
