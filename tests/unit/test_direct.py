"""Large files past the system's memory: exactly their bytes, or the disk's error."""

import errno
import os
import signal

import numpy as np
import pytest

from her2sr_proc.store import direct, raw
from her2sr_proc.store.direct import ALIGNED, LEAST, PIECE, is_same, write_new

SIZES = (0, 1, LEAST - 1, LEAST, LEAST + ALIGNED + 1, PIECE, PIECE + 1, 2 * PIECE - 1)


def noise(size: int) -> memoryview:
    return memoryview(np.random.default_rng(size).bytes(size))


class Refusing:
    """A disk that takes no direct request: not at opening, or not after the first."""

    def __init__(self, monkeypatch, *, opens: bool) -> None:
        self._opens, self._direct = opens, set()
        self._open, self._write, self._preadv = os.open, os.write, os.preadv
        for name, step in (
            ("open", self.open),
            ("write", self.write),
            ("preadv", self.preadv),
        ):
            monkeypatch.setattr(os, name, step)

    def _refuse_if(self, refused: bool) -> None:
        if refused:
            raise OSError(errno.EINVAL, "Invalid argument")

    def open(self, path, flags, *mode):
        is_direct = bool(flags & os.O_DIRECT)
        self._refuse_if(is_direct and not self._opens)
        descriptor = self._open(path, flags, *mode)
        (self._direct.add if is_direct else self._direct.discard)(descriptor)
        return descriptor

    def write(self, descriptor, data):
        is_later = os.lseek(descriptor, 0, os.SEEK_CUR) > 0
        self._refuse_if(descriptor in self._direct and is_later)
        return self._write(descriptor, data)

    def preadv(self, descriptor, *words):
        self._refuse_if(descriptor in self._direct)
        return self._preadv(descriptor, *words)


@pytest.fixture(params=["direct", "by memory", "refused at opening", "refused later"])
def disk(request, monkeypatch):
    """Disks that do it, systems that cannot, disks that refuse it sooner or later."""
    if request.param == "by memory":
        monkeypatch.setattr(direct, "DIRECT", 0)
    elif request.param != "direct":
        Refusing(monkeypatch, opens=request.param == "refused later")


@pytest.mark.parametrize("size", SIZES)
def test_a_file_holds_exactly_its_bytes_on_every_disk(tmp_path, disk, size):
    path, data = tmp_path / "a", noise(size)
    path.write_bytes(noise(size + 9000))  # longer, and of other bytes
    write_new(path, data)
    assert path.read_bytes() == data
    assert is_same(path, 0, data)


@pytest.mark.parametrize("size", SIZES[3:])
def test_one_other_byte_and_a_short_file_are_told_on_every_disk(tmp_path, disk, size):
    path, data = tmp_path / "a", noise(size)
    other = bytearray(data)
    other[-1] ^= 1
    write_new(path, memoryview(other))
    assert not is_same(path, 0, data)
    path.write_bytes(data[:-1])
    assert not is_same(path, 0, data)


def test_bytes_in_the_middle_of_a_file_are_compared_where_they_stand(tmp_path):
    path, data = tmp_path / "a", noise(3 * LEAST)
    write_new(path, data)
    assert is_same(path, 777, data[777 : 777 + LEAST])
    assert not is_same(path, 776, data[777 : 777 + LEAST])


@pytest.mark.skipif(not direct.DIRECT, reason="this system has no direct writing")
def test_a_large_file_goes_directly_and_a_small_one_does_not(tmp_path, monkeypatch):
    true_open, flags_seen = os.open, []

    def opening(path, flags, *mode):
        flags_seen.append(bool(flags & direct.DIRECT))
        return true_open(path, flags, *mode)

    monkeypatch.setattr(os, "open", opening)
    write_new(tmp_path / "large", noise(LEAST))
    write_new(tmp_path / "small", noise(LEAST - 1))
    assert flags_seen[0] is True
    assert flags_seen[-1] is False


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_is_not_taken_for_one_that_refuses(
    tmp_path, monkeypatch, number
):
    calls = []

    def failing(descriptor, data):
        calls.append(descriptor)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_new(tmp_path / "a", noise(LEAST))
    assert len(calls) == 1


@pytest.mark.skipif(not direct.DIRECT, reason="this system has no direct writing")
def test_a_forked_child_that_writes_at_the_same_time_changes_no_byte_of_its_parent(
    tmp_path, monkeypatch
):
    true_write, children = os.write, []

    def write_as_a_child_does(descriptor, data):
        if not children:  # the piece of the parent is filled and not yet on disk
            children.append(os.fork())
            if children == [0]:
                write_new(tmp_path / "child", memoryview(bytes(PIECE)))
                os._exit(0)
            os.waitpid(children[0], 0)
        return true_write(descriptor, data)

    monkeypatch.setattr(os, "write", write_as_a_child_does)
    write_new(tmp_path / "parent", noise(PIECE))
    assert (tmp_path / "child").read_bytes() == bytes(PIECE)
    assert (tmp_path / "parent").read_bytes() == noise(PIECE)


def test_a_writer_killed_within_a_chunk_leaves_none_and_the_next_one_is_whole(
    tmp_path, monkeypatch
):
    path = tmp_path / "561.ome.zarr"
    shape = raw.RawShape(frames=4, height=512, width=512, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="x")
    adu = np.frombuffer(noise(2 * 4 * 512**2), np.uint16).reshape(4, 512, 512)
    true_write = os.write

    def write_and_die(descriptor, data):
        true_write(descriptor, data)
        os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as within:
        within.setattr(os, "write", write_and_die)
        if (child := os.fork()) == 0:
            raw.write_block(path, 0, adu)
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    chunk = raw.chunk_path(path, 0)
    assert [p.match(".0.partial-*") for p in chunk.parent.iterdir()] == [True]
    raw.write_block(path, 0, adu)
    raw.check_block(path, 0, raw.prepare(path, adu))
    np.testing.assert_array_equal(raw.open_array(path)[:], adu)
