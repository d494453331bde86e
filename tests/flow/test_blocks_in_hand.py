"""Two blocks in hand: what befalls one, its run or the process stays its own."""

import contextlib
import queue
import shutil
import threading

import numpy as np
import pytest
from run_folders import make_run

from her2sr_proc.live import recipe
from her2sr_proc.live.worker import IN_HAND, Worker
from her2sr_proc.schema.block import BlockHeader, BlockKey, UnitKey
from her2sr_proc.schema.table import empty
from her2sr_proc.store.layout import DataFolder

SIDE = 16
WITHIN_S = 10.0
NOBODY = UnitKey(run="nobody", field="r00_c00", channel="561")


def message(run: str, number: int):
    header = BlockHeader(
        key=BlockKey(run=run, field="r00_c00", channel="561", block=number),
        first_frame=2 * number,
        frames=2,
        height=SIDE,
        width=SIDE,
        t_s=(0.0, 0.03),
    )
    return header, np.full((2, SIDE, SIDE), number, np.uint16)


class Bus(queue.Queue):
    """Hands out blocks that lie ready."""

    def receive(self, within_s):
        with contextlib.suppress(queue.Empty):
            return self.get(timeout=within_s)


class Gated:
    """Localizes nothing; a block waits for its gate, and may end in an error."""

    def __init__(self) -> None:
        self.begun = queue.Queue()
        self.gates, self.errors = {}, {}

    def block(self, adu, *, first_frame, each=map):
        number = first_frame // 2
        assert [int(k) for k in each(lambda k: adu[k].max(), range(2))] == [number] * 2
        self.begun.put(number)
        if number in self.gates:
            assert self.gates[number].wait(WITHIN_S)
        if number in self.errors:
            raise self.errors[number]
        return empty()

    def shut(self, *numbers: int) -> None:
        self.gates |= {number: threading.Event() for number in numbers}

    def await_begun(self, *numbers: int) -> None:
        assert {self.begun.get(timeout=WITHIN_S) for _ in numbers} == set(numbers)


class Hand:
    """A worker in a thread of its own, with what it takes blocks from."""

    def __init__(self, folder, gated: Gated) -> None:
        self.data, self.gated, self.bus = DataFolder(folder), gated, Bus()
        for run in ("r1", "r2"):
            make_run(self.data.run(run).root, frames={"561": 40}, size=SIDE)
        self.worker, self.stop = Worker(self.data, self.bus), threading.Event()
        self.thread = threading.Thread(target=self.worker.run, args=(self.stop,))

    def send(self, *numbers: int, run: str = "r1") -> None:
        for number in numbers:
            self.bus.put(message(run, number))

    def settle(self) -> None:
        self.worker.retire(NOBODY)

    def parts(self, run: str = "r1") -> set[int]:
        unit = UnitKey(run=run, field="r00_c00", channel="561")
        folder = self.data.run(run)
        return {n for n in range(20) if folder.table_part(unit, n).exists()}


@pytest.fixture
def hand(tmp_path, monkeypatch):
    gated = Gated()
    monkeypatch.setattr(recipe, "localizer_for", lambda *_: gated)
    made = Hand(tmp_path / "data", gated)
    made.thread.start()
    yield made
    for gate in gated.gates.values():
        gate.set()
    made.stop.set()
    made.thread.join(WITHIN_S)
    assert not made.thread.is_alive()


@pytest.mark.parametrize(
    "error", [MemoryError(), IndexError("of a kernel"), SystemError("of a library")]
)
def test_whatever_ends_one_block_is_told_and_counted_and_the_others_are_written(
    hand, error, caplog
):
    hand.gated.errors[1] = error
    hand.gated.shut(0, 1)
    hand.send(0, 1, 2, 3)
    hand.gated.await_begun(0, 1)
    hand.gated.gates[1].set()
    hand.gated.await_begun(2, 3)  # while the first one is still in hand
    hand.gated.gates[0].set()
    hand.settle()
    assert hand.parts() == {0, 2, 3}
    assert hand.worker.tally.failed_blocks == 1
    assert hand.worker.tally.localized_frames == 6
    (told,) = (record for record in caplog.records if "block 1" in record.message)
    assert told.exc_info[0] is type(error)
    assert type(error).__name__ in told.message


def test_a_stop_finishes_both_blocks_in_hand_and_takes_no_third(hand):
    hand.gated.shut(0, 1)
    hand.send(0, 1, 2)
    hand.gated.await_begun(0, 1)
    hand.stop.set()
    hand.gated.gates[1].set()
    hand.gated.gates[0].set()
    hand.thread.join(WITHIN_S)
    assert not hand.thread.is_alive()
    assert hand.parts() == {0, 1}
    assert hand.bus.qsize() == 1


def test_a_unit_retired_before_its_blocks_in_hand_are_done_gets_no_part_of_them(hand):
    hand.gated.shut(*range(IN_HAND))
    hand.send(*range(IN_HAND))
    hand.gated.await_begun(*range(IN_HAND))
    unit = UnitKey(run="r1", field="r00_c00", channel="561")
    hand.worker.retire(unit, within_s=0.01)
    for gate in hand.gated.gates.values():
        gate.set()
    hand.settle()
    assert hand.parts() == set()
    assert hand.worker.tally.late_blocks == IN_HAND


def test_one_run_is_retired_while_a_block_of_another_is_in_hand(hand):
    hand.gated.shut(0, 1)
    hand.send(0)
    hand.send(1, run="r2")
    hand.gated.await_begun(0, 1)
    unit = UnitKey(run="r1", field="r00_c00", channel="561")
    hand.worker.retire(unit, within_s=0.01)
    hand.gated.gates[0].set()
    hand.gated.gates[1].set()
    hand.settle()
    assert (hand.parts("r1"), hand.parts("r2")) == (set(), {1})


def test_a_run_removed_while_its_blocks_are_in_hand_does_not_come_back(hand):
    hand.gated.shut(0, 1)
    hand.send(0, 1, 2)
    hand.gated.await_begun(0, 1)
    shutil.rmtree(hand.data.run("r1").root)
    hand.gated.gates[0].set()
    hand.gated.gates[1].set()
    hand.settle()
    assert not hand.data.run("r1").root.exists()
    assert hand.worker.tally.late_blocks == 3
    assert hand.worker.tally.localized_frames == 0
