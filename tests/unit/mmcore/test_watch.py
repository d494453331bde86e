"""Watches of MMCore say what is wrong, and a device that is silent is wrong."""

import pytest

from her2sr_acq.errors import ConfigError, DeviceError

INTERLOCK = {"name": "door", "kind": "interlock", "label": "Gate405"}
COLD = {"name": "sensor", "kind": "temperature", "label": "Camera"}
COLD |= {"property": "CCDTemperature", "range": [-30.0, -10.0], "wait_s": 60.0}


def watching(bench, **watch):
    bench.data["watches"] = [watch]
    hardware = bench.open()
    return hardware.watches[0], hardware._handle.core


def test_a_watch_speaks_when_its_value_leaves_the_good_one(bench):
    watch, core = watching(bench, **INTERLOCK, property="State", ok="0")
    assert (watch.name, watch.kind, watch.wait_s) == ("door", "interlock", 0.0)
    assert watch.trouble() == ""
    core.setProperty("Gate405", "State", "1")
    assert watch.trouble() == (
        "door: 'State' of Gate405 reads '1' and should be '0'; close doors, covers and "
        "the key switch, then rearm"
    )


def test_a_temperature_must_lie_in_its_range(bench):
    watch, core = watching(bench, **COLD)
    assert "reads '0.0000' and should be -30 to -10; wait" in watch.trouble()
    core.setProperty("Camera", "CCDTemperature", "-20")
    assert watch.trouble() == ""


def test_a_device_that_does_not_answer_is_in_trouble(bench):
    turret = INTERLOCK | {"label": "Objective", "property": "State", "ok": "0"}
    watch, core = watching(bench, **turret)
    core.unloadDevice("Objective")
    assert "door cannot be read (Objective: " in watch.trouble()


def test_a_value_that_is_no_number_is_out_of_range(bench):
    watch, _ = watching(bench, **COLD | {"property": "PixelType"})
    assert "should be -30 to -10" in watch.trouble()


def test_a_watch_on_a_property_that_is_not_there_is_a_configuration_error(bench):
    with pytest.raises(ConfigError, match="door: Gate405 has no property 'Door'"):
        watching(bench, **INTERLOCK, property="Door", ok="1")


def test_the_checks_of_a_laser_are_watches_too(bench):
    check = {"property": "State", "ok": "0", "label": "Gate405"}
    bench.data["lasers"][0]["interlock"] = check
    names = [watch.name for watch in bench.open().watches]
    assert names == ["interlock of the 405 nm laser"]


def test_a_stage_that_wakes_up_outside_its_limits_says_how_to_get_back(bench):
    bench.data["stage"]["x_um"] = [100.0, 200.0]
    with pytest.raises(DeviceError, match=r"x = .* outside its limits .* joystick"):
        bench.open()


def test_a_long_move_lowers_the_focus_of_the_microscope(bench):
    bench.data["focus"]["travel_z_um"] = -15.0
    bench.data["stage"]["long_travel_um"] = 50.0
    hardware = bench.open()
    hardware.focus.move_to(z_um=2.0)
    hardware.stage.move_to(x_um=500.0, y_um=0.0)
    assert hardware.stage.position_um() == pytest.approx((500.0, 0.0), abs=0.5)
    assert hardware.focus.position_um() == pytest.approx(2.0, abs=0.05)
