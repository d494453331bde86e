"""Room is kept for saying that there is none, and nothing begins below low water."""

import os

import pytest

from her2sr_acq.config_storage import StorageConfig
from her2sr_acq.storage import Reserve, low_water, room


def full(descriptor, size):
    raise OSError(28, "No space left on device")


def test_the_reserve_takes_room_and_gives_it_back(tmp_path):
    reserve = Reserve(tmp_path / "data" / ".reserve", 2)
    assert not reserve.restore()  # a data folder that is gone is not made anew
    (tmp_path / "data").mkdir()
    assert reserve.restore()
    held = (tmp_path / "data" / ".reserve").stat()
    assert held.st_size == 2_000_000
    assert held.st_blocks * 512 >= 2_000_000
    assert reserve.restore()
    reserve.release()
    reserve.release()
    assert list((tmp_path / "data").iterdir()) == []


def test_without_posix_fallocate_the_reserve_is_written(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    assert Reserve(tmp_path / ".reserve", 3).restore()
    assert (tmp_path / ".reserve").stat().st_size == 3_000_000


def test_a_reserve_that_finds_no_room_is_not_kept(tmp_path):
    assert not Reserve(tmp_path / ".reserve", 2, allocate=full).restore()
    assert list(tmp_path.iterdir()) == []


class Disk:
    def __init__(self, total, free):
        self.total, self.free = total, free


@pytest.mark.parametrize(
    ("total_mb", "free_mb", "kept_mb"), [(40, 30, 0.8), (40, 1, None), (10_000, 60, 20)]
)
def test_a_small_disk_gives_a_small_share(
    tmp_path, monkeypatch, total_mb, free_mb, kept_mb
):
    disk = Disk(total_mb * 10**6, free_mb * 10**6)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: disk)
    is_kept = Reserve(tmp_path / ".reserve", 20).restore()
    assert is_kept == (kept_mb is not None)
    if kept_mb is not None:
        assert (tmp_path / ".reserve").stat().st_size == kept_mb * 10**6


def test_nothing_begins_in_a_data_folder_that_is_gone(tmp_path):
    trouble = low_water(tmp_path / "data", 1, StorageConfig())
    assert "mount its disk again" in trouble


def test_the_next_field_must_fit_above_low_water(tmp_path, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: Disk(10**12, 5 * 10**9))
    config = StorageConfig(low_water_mb=1000)
    assert low_water(tmp_path, 4 * 10**9, config) == ""
    said = low_water(tmp_path, 4 * 10**9 + 5 * 10**6, config)
    assert "5000 MB are free" in said
    assert "free 5 MB" in said
