"""Disks that are slow, full or broken, around a writer that notes what it gets."""

import errno
from pathlib import Path

import numpy as np
import pytest

from simulators.disk import BrokenDisk, FullDisk, SlowDisk

ADU = np.zeros((1, 2, 2), np.uint16)
UNIT = Path("unit.zarr")


class Paper:
    """Writes down which blocks reached it."""

    def __init__(self):
        self.blocks = []

    def __call__(self, path, block, adu):
        self.blocks.append(block)
        return 8, "digest"


@pytest.fixture
def paper():
    return Paper()


def test_a_slow_disk_delays_each_block_and_writes_it(paper):
    waited = []
    write = SlowDisk(paper, delay_s=0.5, at_block=1, sleep=waited.append)
    answers = [write(UNIT, block, ADU) for block in range(3)]
    assert answers == [(8, "digest")] * 3
    assert (paper.blocks, waited) == ([0, 1, 2], [0.5, 0.5])


@pytest.mark.parametrize(
    ("disk", "number"), [(FullDisk, errno.ENOSPC), (BrokenDisk, errno.EIO)]
)
def test_a_failing_disk_refuses_blocks_with_its_error(paper, disk, number):
    write = disk(paper, at_block=1)
    write(UNIT, 0, ADU)
    with pytest.raises(OSError, match=r"unit\.zarr") as caught:
        write(UNIT, 1, ADU)
    assert caught.value.errno == number
    assert paper.blocks == [0]


def test_a_disk_that_fails_a_number_of_times_works_again(paper):
    write = BrokenDisk(paper, count=1)
    with pytest.raises(OSError, match="Input/output error"):
        write(UNIT, 0, ADU)
    write(UNIT, 0, ADU)
    assert paper.blocks == [0]


def test_a_full_disk_has_room_again_when_its_file_is_gone(paper, tmp_path):
    full = tmp_path / "full"
    full.touch()
    write = FullDisk(paper, while_file=str(full))
    with pytest.raises(OSError, match="No space left"):
        write(UNIT, 0, ADU)
    full.unlink()
    write(UNIT, 0, ADU)
    assert paper.blocks == [0]
