"""Devices and disks that fail in a burst: exact counts, light off, an honest end."""

import errno

import pytest
from fake_localizer import FakeLocalizer
from fake_microscope import FakeMicroscope, Faults
from stations import FakeRoom, protocol, request, rig

from her2sr_acq.engine.states import RunState
from her2sr_acq.errors import RunConflictError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger

ONE_FIELD = request(plan=protocol(columns=1))

UNIT_FAULTS = [
    pytest.param(
        Faults(stall_at=23), 23, 20, "partial", "stalled after frame 23", id="stall"
    ),
    pytest.param(Faults(stall_at=0), 0, 0, "failed", "after frame 0", id="no frame"),
    pytest.param(
        Faults(overflow_at=31), 31, 30, "partial", "ran over", id="ring runs over"
    ),
    pytest.param(
        Faults(wrong_size_at=12), 13, 10, "partial", "17, 17", id="frame of other size"
    ),
    pytest.param(
        Faults(gap_at=15), 40, 40, "partial", "1 frames are missing", id="frame lost"
    ),
    pytest.param(
        Faults(exposure_reads_wrong=True), 0, 0, "failed", "31 ms", id="exposure"
    ),
    pytest.param(
        Faults(power_reads_wrong_nm=561), 0, 0, "failed", "another power", id="power"
    ),
    pytest.param(
        Faults(stage_raises_at_move=1, stage_raises_times=3),
        0,
        0,
        "failed",
        "not arrive",
        id="stage raises",
    ),
    pytest.param(
        Faults(stage_off_um=0.8), 0, 0, "failed", "stage reports x", id="stage lies"
    ),
]


@pytest.mark.parametrize(
    ("faults", "delivered", "written", "state", "reason"), UNIT_FAULTS
)
def test_a_fault_costs_its_unit_and_is_counted_exactly(
    tmp_path, faults, delivered, written, state, reason
):
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        view = bench.take(ONE_FIELD)
        unit = bench.units(view.id)["r00_c00/561"]
        assert not bench.microscope.is_lit
    assert (unit.delivered, unit.written, unit.state) == (delivered, written, state)
    assert reason in unit.reason
    assert view.state is RunState.COMPLETED_WITH_FAULTS
    assert "r00_c00/561" in view.reason


def test_no_light_is_made_when_a_device_reads_back_another_value(tmp_path):
    faults = Faults(exposure_reads_wrong=True)
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        bench.take(ONE_FIELD)
        assert not [call for call in bench.microscope.log if call.startswith("on")]


def test_a_stage_that_fails_once_is_asked_again(tmp_path):
    faults = Faults(stage_raises_at_move=1)
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        view = bench.take(request(plan=protocol(columns=3, frames=10)))
    assert view.state is RunState.COMPLETED


def test_a_field_that_three_attempts_do_not_reach_is_left(tmp_path):
    faults = Faults(stage_raises_at_move=1, stage_raises_times=3)
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        view = bench.take(request(plan=protocol(columns=3, frames=10)))
        states = [unit.state for unit in bench.units(view.id).values()]
    assert states == ["failed"] * 2 + ["complete"] * 4


def test_row_04_three_fields_in_a_row_that_are_not_reached_hold_the_run(tmp_path):
    faults = Faults(stage_raises_at_move=1, stage_raises_times=9)
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        bench.desk.submit(request(plan=protocol(columns=4, frames=10)))
        view = bench.until("paused")
        assert "3 fields in a row" in view.reason
        bench.desk.helm.resume(view.id)
        view = bench.finish()
        states = [unit.state for unit in bench.units(view.id).values()]
    assert states == ["failed"] * 6 + ["complete"] * 2


def test_row_01_three_stalled_bursts_in_a_row_hold_the_run(tmp_path):
    with rig(tmp_path, microscope=FakeMicroscope(Faults(stall_at=23))) as bench:
        bench.desk.submit(request(plan=protocol(columns=4)))
        view = bench.until("paused")
        units = bench.units(view.id)
        bench.desk.helm.stop(view.id)
        bench.finish()
    assert "3 bursts in a row stalled" in view.reason
    assert [unit.state for unit in units.values()][:4] == ["partial"] * 3 + ["planned"]


def test_a_camera_that_stalls_before_its_first_block_is_armed_once_more(tmp_path):
    microscope = FakeMicroscope(Faults(stall_at=0))

    def heal(index):
        if microscope.log.count("start") == 2:
            microscope.faults.stall_at = None

    microscope.camera.on_frame = heal
    with rig(tmp_path, microscope=microscope) as bench:
        view = bench.take(ONE_FIELD)
    assert view.state is RunState.COMPLETED


def test_frames_that_the_camera_counted_and_nobody_got_keep_their_place(tmp_path):
    microscope = FakeMicroscope(Faults(lost_at=15))
    microscope.camera.counts = True
    with rig(tmp_path, microscope=microscope) as bench:
        view = bench.take(ONE_FIELD)
        unit = bench.units(view.id)["r00_c00/561"]
    assert [(gap.after_frame, gap.missing) for gap in unit.gaps] == [(14, 1)]
    assert unit.state == "partial"


def test_a_camera_that_does_not_stop_keeps_the_frames_it_gave(tmp_path):
    faults = Faults(disarm_fails=True)
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        view = bench.take(ONE_FIELD)
        unit = bench.units(view.id)["r00_c00/561"]
    assert (unit.state, unit.reason) == (UnitState.COMPLETE, "the camera does not stop")


def full_disk(after: int):
    """Write ``after`` blocks, then find no space."""
    left = [after]

    def write(path, block, adu):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return raw.write_block(path, block, adu)

    return write


def test_a_full_disk_holds_the_run_with_what_is_safely_there(tmp_path):
    room = FakeRoom()
    with rig(tmp_path, write_block=full_disk(after=6), room=room) as bench:
        bench.desk.submit(request(plan=protocol(columns=2)))
        view = bench.until("paused")
        units = bench.units(view.id)
        assert not bench.microscope.is_lit
        assert not room.has_reserve
        bench.desk.helm.stop(view.id)
        bench.finish()
    assert "No space left" in view.reason
    assert [unit.state for unit in units.values()] == [
        "complete", "partial", "planned", "planned"
    ]  # fmt: skip
    assert units["r00_c00/405"].written == 20
    assert view.frames_done == 60


def test_a_run_goes_on_once_there_is_room_again(tmp_path):
    room = FakeRoom("only 3 MB are free")
    with rig(tmp_path, room=room) as bench:
        bench.desk.submit(ONE_FIELD)
        assert "only 3 MB" in bench.until("paused").reason
        room.said = ""
        bench.desk.helm.resume(bench.desk.runs()[0].id)
        view = bench.finish()
    assert (view.state, view.reason) == (RunState.COMPLETED, "")


def test_the_ledger_holds_the_blocks_that_a_full_disk_took_and_no_other(tmp_path):
    with rig(tmp_path, write_block=full_disk(after=2)) as bench:
        bench.desk.submit(ONE_FIELD)
        view = bench.until("paused")
        bench.desk.helm.stop(view.id)
        bench.finish()
        folder = bench.station.data.run(view.id)
    histories = read_ledger(folder.ledger)
    history = histories[UnitKey(run=view.id, field="r00_c00", channel="561")]
    assert sorted(history.blocks) == [0, 1]
    assert history.verdict.state is UnitState.PARTIAL
    assert history.verdict.written == history.frames == 20


def test_a_disk_that_takes_no_line_either_ends_the_run_in_memory(tmp_path, caplog):
    def lose_the_files(index):
        if index == 15:
            bench.desk._slot.last.tracker._ledger.close()

    with rig(tmp_path) as bench:
        bench.microscope.camera.on_frame = lose_the_files
        view = bench.take(ONE_FIELD)
        units = bench.units(view.id)
        assert not bench.microscope.is_lit
        assert bench.station.database.run(view.id).state == "running"
    assert view.state is RunState.FAULTED
    assert "cannot be written" in view.reason
    assert [unit.state for unit in units.values()] == ["partial", "skipped"]
    assert "could not be written to its end" in caplog.text


def test_a_run_whose_folder_vanishes_ends_dark_and_makes_none_anew(tmp_path):
    """As where the disk of the data folder is unmounted in a burst."""

    def vanish(index):
        if index == 15:
            run = bench.station.data.run(bench.desk.runs()[0].id)
            run.root.rename(tmp_path / "away")

    with rig(tmp_path) as bench:
        bench.microscope.camera.on_frame = vanish
        view = bench.take(request(plan=protocol(columns=2)))
        units = bench.units(view.id)
        assert not bench.microscope.is_lit
        assert not bench.station.data.run(view.id).root.exists()
    assert view.state is RunState.FAULTED
    assert "cannot be written" in view.reason
    assert [unit.state for unit in units.values()] == [
        "partial", "skipped", "skipped", "skipped"
    ]  # fmt: skip
    away = RunFolder(tmp_path / "away")
    for unit, history in read_ledger(away.ledger).items():
        for record in history.records():
            assert len(raw.read_block(away.raw(unit), record)) == record.frames


def test_a_block_that_rots_between_writing_and_reading_back_is_not_counted(tmp_path):
    def write(path, block, adu):
        size, digest = raw.write_block(path, block, adu)
        if block == 2:
            raw.chunk_path(path, block).write_bytes(b"rot")
        return size, digest

    with rig(tmp_path, write_block=write) as bench:
        bench.desk.submit(ONE_FIELD)
        view = bench.until("paused")
        unit = bench.units(view.id)["r00_c00/561"]
        bench.desk.helm.stop(view.id)
        bench.finish()
    assert (unit.state, unit.written) == ("partial", 20)
    assert "does not read back" in unit.reason


def test_a_crash_in_a_driver_leaves_a_partial_unit_in_the_dark(tmp_path):
    with rig(tmp_path, microscope=FakeMicroscope(Faults(crash_at=25))) as bench:
        view = bench.take(ONE_FIELD)
        unit = bench.units(view.id)["r00_c00/561"]
        assert not bench.microscope.is_lit
    assert view.state is RunState.FAULTED
    assert "segment of the driver" in view.reason
    assert (unit.state, unit.written) == ("partial", 20)


LIGHTS = [
    pytest.param(Faults(off_fails_nm=561), id="does not go out"),
    pytest.param(Faults(off_fails_nm=488, on_from_the_start_nm=488), id="is on before"),
]


@pytest.mark.parametrize("faults", LIGHTS)
def test_light_that_is_not_proven_off_ends_the_run_and_latches(tmp_path, faults):
    with rig(tmp_path, microscope=FakeMicroscope(faults)) as bench:
        view = bench.take(ONE_FIELD)
        assert view.state is RunState.FAULTED
        assert "not proven off" in view.reason
        assert "not proven off" in bench.desk.health().latched
        with pytest.raises(RunConflictError, match="no run may start"):
            bench.desk.submit(ONE_FIELD)


def test_light_on_before_a_burst_is_put_out_and_latches(tmp_path):
    microscope = FakeMicroscope()

    def leak(index):
        microscope.lasers[488].lit = index == 39

    microscope.camera.on_frame = leak
    with rig(tmp_path, microscope=microscope) as bench:
        view = bench.take(ONE_FIELD)
        assert not microscope.is_lit
        assert "488 nm laser is on before its burst" in bench.desk.health().latched
    assert view.state is RunState.FAULTED


def test_a_silent_localizer_costs_the_answer_and_no_frame(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(silent=True)) as bench:
        view = bench.take(ONE_FIELD)
    assert view.state is RunState.COMPLETED_WITH_FAULTS
    assert view.frames_done == view.frames_requested
    assert f"run `her2sr process {tmp_path}/runs/{view.id}`" in view.reason
    assert "does not answer" in view.reason


LOCALIZERS = [
    pytest.param(FakeLocalizer(fails="close_field"), "no nuclei channel", id="fails"),
    pytest.param(FakeLocalizer(refuses="1024 jobs wait"), "1024 jobs", id="refuses"),
    pytest.param(FakeLocalizer(stalls=True), "no progress", id="stalls"),
]


@pytest.mark.parametrize(("localizer", "reason"), LOCALIZERS)
def test_incomplete_processing_is_named_with_its_cure(tmp_path, localizer, reason):
    with rig(tmp_path, localizer=localizer) as bench:
        view = bench.take(ONE_FIELD)
    assert view.state is RunState.COMPLETED_WITH_FAULTS
    assert "processing is incomplete" in view.reason
    assert reason in view.reason


def test_a_restarted_localizer_is_asked_again(tmp_path):
    with rig(tmp_path, localizer=FakeLocalizer(forgets_once=True)) as bench:
        view = bench.take(ONE_FIELD)
        verbs = bench.localizer.verbs
    assert view.state is RunState.COMPLETED
    assert verbs == ["close_unit", "close_unit", "close_field", "close_run"] * 2
