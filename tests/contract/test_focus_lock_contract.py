"""What every focus lock must do: by properties (simulated), by the core (demo).

The simulated one also with a stage of its own for its offset.
"""

import math

import pytest
import yaml
from microscopes import opened, simulated_here, write_config
from short import short_folder

from her2sr_acq.config_focus import FocusLockConfig
from her2sr_acq.devices.mmcore.lock import PropertyDialect
from her2sr_acq.devices.mmcore.lock_offset import offset_of
from her2sr_acq.errors import ConfigError, DeviceError, FocusError, ReadBackError


def told(config, **lock):
    """Change what a configuration says of its lock; None: it says nothing of it."""
    data = yaml.safe_load(config.read_text())
    said = {**data["focus"]["lock"], **lock}
    data["focus"]["lock"] = {k: v for k, v in said.items() if v is not None}
    config.write_text(yaml.safe_dump(data))
    return config


BY_STAGE = {
    "offset_property": None,
    "offset_device": "LockOffset",
    "offset_unit_um": -0.025,
}


@pytest.fixture(scope="module", params=["simulated", "by a stage", "demo"])
def hardware(request):
    limits = {"offset_um": [-15.0, 15.0]}
    with short_folder() as folder:
        if request.param == "demo":
            config = write_config("demo", folder)
            with opened(told(config, offset_unit_um=0.5, **limits), folder) as demo:
                yield demo
            return
        more = BY_STAGE if request.param == "by a stage" else {}
        with (
            simulated_here(folder) as bench,
            opened(told(bench.config, **limits, **more), folder) as real,
        ):
            yield real


@pytest.fixture
def lock(hardware):
    yield hardware.lock
    hardware.lock.release()


def test_it_is_not_locked_before_it_is_told(lock):
    assert not lock.is_locked()
    assert lock.state() not in ("", "locked", "In Focus")


def test_it_locks_and_says_so(lock):
    lock.engage()
    assert lock.is_locked()
    assert lock.state() in ("locked", "In Focus")


def test_locking_twice_and_letting_go_twice_are_no_errors(lock):
    lock.engage()
    lock.engage()
    lock.release()
    lock.release()
    assert not lock.is_locked()


def test_letting_go_leaves_the_focus_where_it_is(hardware, lock):
    lock.engage()
    held_um = hardware.focus.position_um()
    lock.release()
    assert hardware.focus.position_um() == pytest.approx(held_um, abs=0.05)


def test_the_plane_that_is_held_is_set_and_read_back(lock):
    before_um = lock.offset_um()
    lock.set_offset(before_um + 1.25)
    assert lock.offset_um() == pytest.approx(before_um + 1.25)
    lock.set_offset(before_um)


def test_a_plane_beyond_the_offsets_limits_is_refused_and_nothing_moves(lock):
    before_um = lock.offset_um()
    with pytest.raises(DeviceError, match=r"offset .* outside its limits"):
        lock.set_offset(15.5)
    assert lock.offset_um() == before_um


def test_a_plane_that_does_not_read_back_is_an_error(lock, monkeypatch):
    monkeypatch.setattr(lock, "offset_um", lambda: math.nan)
    with pytest.raises(ReadBackError, match=r"offset was set to 2.00 um and reads nan"):
        lock.set_offset(2.0)


def test_a_lock_that_never_reads_locked_is_an_error_and_let_go(lock, monkeypatch):
    hasty = lock._config.model_copy(update={"timeout_s": 0.02})
    monkeypatch.setattr(lock, "_config", hasty)
    monkeypatch.setattr(lock, "is_locked", lambda: False)
    with pytest.raises(FocusError, match=r"did not lock within 0.02 s and reads"):
        lock.engage()
    monkeypatch.undo()
    assert not lock.is_locked()


def test_one_good_reading_is_not_believed(lock, monkeypatch):
    readings = iter([True, False, True, True])
    monkeypatch.setattr(lock, "is_locked", lambda: next(readings))
    lock.engage()
    assert list(readings) == []


def test_the_focus_moves_by_steps_within_its_limits_alone(hardware):
    start_um = hardware.focus.position_um()
    hardware.focus.move_by(dz_um=1.5)
    assert hardware.focus.position_um() == pytest.approx(start_um + 1.5, abs=0.05)
    with pytest.raises(DeviceError, match="outside its limits"):
        hardware.focus.move_by(dz_um=50.0)
    hardware.focus.move_by(dz_um=-1.5)
    assert hardware.focus.position_um() == pytest.approx(start_um, abs=0.05)


def test_a_lock_by_a_property_that_is_not_there_names_it(hardware):
    wrong = FocusLockConfig(label="Camera", state_property="CRISP Mood")
    with pytest.raises(ConfigError, match="Camera has no property 'CRISP Mood'"):
        PropertyDialect(hardware._handle, wrong)


def test_an_offset_by_a_device_that_is_not_there_names_it(hardware):
    wrong = FocusLockConfig(
        label="Lock",
        kind="autofocus",
        offset_device="PFSOffset",
        offset_unit_um=0.1,
    )
    with pytest.raises(ConfigError, match="there is no device 'PFSOffset'"):
        offset_of(hardware._handle, wrong)


def test_the_lock_is_among_the_devices_that_tell_of_themselves(hardware):
    roles = {reading.role for reading in hardware.readings()}
    assert "focus lock" in roles
