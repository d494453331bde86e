"""Rows 8 to 12 of the fault table: disks, deaths, power. Each is named after its row.

Row 10, acq killed at random moments, stands in `test_kill_trials`; what the writer by
itself does of rows 8 and 10 in `test_storage_faults`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_microscope import FakeMicroscope
from fault_times import FULL_S, LATE_S, REAL_TIME_FRAMES, go_on, happens, order
from light_times import lit_times, seconds_lit_after
from night_audit import audit
from nights import night, night_config
from onlookers import laboratory, plan
from power import platter
from short import short_folder
from small_disks import fill, small_disk
from stations import rig
from trials import DARK_S, Bench

from her2sr_acq.config_storage import StorageConfig
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.diskroom import DiskRoom
from her2sr_acq.engine.recovery import may_go_on, recover
from her2sr_acq.engine.unit import BUFFER_WAIT_S, BUFFERS
from her2sr_acq.errors import PlanRejectedError
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder
from simulators.disk import BrokenDisk, SlowDisk

NO_API = ("microscope", "guard", "localizer")
DISK_MB = 40
HEARD_S = 0.3
"""A block of this test lasts longer: a disk's error is heard at the next frame."""


@pytest.fixture(scope="module")
def lab():
    with short_folder() as folder, laboratory(folder, time_scale=20.0) as lab:
        yield lab


@contextmanager
def room_on(data: Path) -> Iterator[DiskRoom]:
    """Make a data folder, and keep its reserve, as the hardware process does."""
    folder = DataFolder(data)
    folder.runs.mkdir(parents=True)
    with DiskRoom(folder, StorageConfig(low_water_mb=2, reserve_mb=1)) as room:
        yield room


def require_clean(service, run) -> None:
    """Hold the folder of a run at rest against every account of it."""
    view = service.control.run(run.id)
    found = audit(service.folder(view), view, service.control.fields(run.id))
    assert found.violations == ()


# --- row 8: the disk is full


@pytest.mark.slow
def test_row_08_a_disk_that_fills_up_in_a_burst_is_dark_in_a_second_and_goes_on(
    tmp_path,
):
    with short_folder() as folder, small_disk(tmp_path / "disk", DISK_MB) as disk:
        config = night_config(folder, time_scale=1.0, low_water_mb=2)
        ballast = disk / "ballast"
        with night(config, disk / "data", only=NO_API) as service:
            run = service.control.submit(order(columns=1, frames=REAL_TIME_FRAMES))
            found = happens(service, run.id, lambda: fill(ballast), after=60)
            view = service.control.run(run.id)
            units = [u for tile in service.control.fields(run.id) for u in tile.units]
            require_clean(service, run)
            ballast.unlink()
            go_on(service, run.id)
            end = service.rest(run.id, within_s=60.0)
            require_clean(service, run)
    assert 0.0 < found.dark_s <= FULL_S
    assert "No space left" in view.reason
    assert [unit.state for unit in units] == ["partial", "planned"]
    assert units[0].written == 50  # the third block, of frames 50 to 74, found no room
    assert end.state == "completed_with_faults"
    assert end.units_done == 2


def test_row_08_a_run_that_does_not_fit_is_refused_and_a_field_waits_for_room(
    lab, tmp_path
):
    small = plan(frames=220, lines=1)
    with small_disk(tmp_path / "disk", DISK_MB) as disk:
        data, ballast = disk / "data", disk / "ballast"
        with room_on(data) as room, lab.engine(data, room=room) as engine:
            fill(ballast)
            with pytest.raises(PlanRejectedError, match=r"0\.0 MB are free"):
                engine.desk.submit(small)
            os.truncate(ballast, ballast.stat().st_size - 3_000_000)
            engine.desk.submit(small)  # it fits, and would leave too little
            view = engine.until("paused")
            assert not lab.was_lit()
            ballast.unlink()
            engine.desk.helm.resume(view.id)
            end = engine.finish()
    assert "MB are free" in view.reason
    assert end.state == "completed"


# --- row 9: the disk is slow, or broken


def test_row_09_a_slow_disk_ends_the_exposure_with_a_bounded_number_of_blocks(
    lab, tmp_path
):
    slow = SlowDisk(raw.write_block, delay_s=BUFFER_WAIT_S + 2.0, count=1)
    with lab.engine(tmp_path, write_block=slow) as engine:
        engine.desk.submit(plan(frames=220, lines=1))
        view = engine.until("paused", within_s=20.0)
        (unit,) = engine.units(view.id).values()
        (lit,) = lit_times(lab.history())
        engine.desk.helm.stop(view.id)
        engine.finish()
    assert "the disk is too slow" in unit.reason
    assert unit.written == 20 * BUFFERS
    assert unit.delivered == unit.written + 1  # for which there was no buffer
    assert unit.state == "partial"
    assert lit.off_s - lit.on_s <= BUFFER_WAIT_S + 1.0


@pytest.mark.parametrize(
    ("good", "state"), [pytest.param(0, "failed"), pytest.param(2, "partial")]
)
def test_row_09_a_disk_with_errors_costs_the_unit_and_holds_the_run_in_the_dark(
    lab, tmp_path, good, state
):
    writer = FailsAt(BrokenDisk(raw.write_block, at_block=good))
    with lab.engine(tmp_path, write_block=writer) as engine:
        engine.desk.submit(plan(frames=1000, lines=1))
        view = engine.until("paused")
        (unit,) = engine.units(view.id).values()
        history = lab.history()
        engine.desk.helm.stop(view.id)
        engine.finish()
    assert "Input/output error" in view.reason
    assert (unit.state, unit.written) == (state, 250 * good)
    assert 0.0 < seconds_lit_after(history, writer.failed_s) <= HEARD_S + LATE_S


class FailsAt:
    """Passes blocks on and notes when one could not be written."""

    def __init__(self, write_block) -> None:
        self._write, self.failed_s = write_block, 0.0

    def __call__(self, path: Path, block: int, adu) -> tuple[int, str]:
        try:
            return self._write(path, block, adu)
        except OSError:
            self.failed_s = self.failed_s or time.monotonic()
            raise


# --- row 11: the camera's driver dies of a segmentation fault, and acq with it


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_row_11_a_crash_of_an_adapter_is_dark_in_a_second_and_the_run_goes_on():
    with short_folder() as folder:
        (trial,) = Bench(folder).run(("crash",), seed=3)
    assert trial.violations == ()
    assert trial.dark_s is not None, "it came too late: choose another seed"
    assert 0.0 < trial.dark_s <= DARK_S
    assert trial.state == "completed_with_faults"
    assert trial.units == {"complete": 3, "partial": 1}


# --- row 12: the power fails


class PowerCut(Exception):  # noqa: N818 - it is no error
    """Nothing after it is written."""


def cut(disk, source: Path, target: Path, *, at_frame: int, seed: int) -> str:
    """Take a run until the power fails in its second burst; return its name."""
    microscope = FakeMicroscope()
    with (
        room_on(source) as room,
        rig(source, microscope=microscope, room=room, boot="before") as engine,
    ):

        def fail(index):
            if microscope.log.count("start") == 2 and index == at_frame:
                disk.cut(source, target, random.Random(seed))
                raise PowerCut

        microscope.camera.on_frame = fail
        return engine.take(plan(frames=80)).id


@pytest.mark.parametrize("seed", range(6))
def test_row_12_after_a_power_cut_is_what_was_forced_to_disk(
    tmp_path, monkeypatch, seed
):
    torn = tmp_path / "torn"
    with platter(lambda fsync: monkeypatch.setattr("os.fsync", fsync)) as disk:
        run = cut(disk, tmp_path / "data", torn, at_frame=30 + 7 * seed, seed=seed)
    data = DataFolder(torn)
    with Database(data.database) as database:
        (left,) = recover(database, data, Clock())
        view, fields = database.run(run), database.fields(run)
    first, second = [unit for tile in fields for unit in tile.units]
    assert (first.state, first.written) == ("complete", 80)
    assert second.state == "partial"
    assert second.written % 20 == 0
    assert second.written >= (30 + 7 * seed) // 20 * 20 - 20 * BUFFERS
    assert audit(data.run(run), view, fields).violations == ()
    assert "restarted since" in may_go_on(left, boot="after")


def test_row_12_a_service_started_after_a_power_cut_waits_in_the_dark(
    tmp_path, monkeypatch
):
    with short_folder() as folder:
        torn = folder / "torn"
        with platter(lambda fsync: monkeypatch.setattr("os.fsync", fsync)) as disk:
            run = cut(disk, tmp_path / "data", torn, at_frame=50, seed=1)
        with night(night_config(folder, time_scale=10.0), torn, only=NO_API) as service:
            time.sleep(1.0)  # it does not go on a little later either
            view = service.control.run(run)
            fields = service.control.fields(run)
            assert service.microscope.light_history().changes == ()
            assert service.microscope.state().bursts == 0
            found = audit(service.folder(view), view, fields)
    assert view.state == "interrupted"
    assert found.violations == ()
    assert [u.state for tile in fields for u in tile.units] == ["complete", "partial"]
