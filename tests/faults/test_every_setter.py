"""Every setter of MMCore that a run uses fails in every way; no frame is mislabelled.

The core of a real configuration is stood in for by one that obeys a plan of faults.
What the hardware truly was is read past it, at every frame.
"""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
import yaml
from faulty_core import Fault, FaultyCore
from microscopes import opened, simulated_here, write_config
from short import short_folder
from stations import request, rig

import her2sr_acq.devices.mmcore as adapters
from her2sr_acq.config import load
from her2sr_acq.engine.states import FINAL
from her2sr_acq.plan.models import Protocol

FRAMES = 6
ROI = [16, 16, 32, 32]
PERCENT = 40.0
PATIENCE_S = 60.0


def plan(config) -> Protocol:
    lines = {"561": "signal", "405": "nuclei"}
    channels = [
        {"name": nm, "probe": nm, "laser_nm": int(nm), "role": role}
        | {"power_percent": PERCENT, "exposure_ms": 20.0, "frames": FRAMES}
        for nm, role in lines.items()
    ]
    camera = {"roi": ROI, "readout": next(iter(config.camera.readout_modes))}
    grid = {"positions": [[10.0, 20.0], [60.0, 20.0]]}
    return Protocol.model_validate(
        {"name": "test", "grid": grid, "channels": channels, "camera": camera}
    )


def quick(path: Path) -> None:
    """Let the microscope wait for nothing long, and lower the focus for each move."""
    data = yaml.safe_load(path.read_text())
    data["camera"].update(first_frame_timeout_s=1.0, stall_timeout_s=0.5)
    for laser in data["lasers"]:  # no dark picture: the first burst is the first call
        laser.get("sample", {}).pop("step_adu", None)
    data["stage"].update(timeout_s=0.3, long_travel_um=5.0)
    data["focus"].update(timeout_s=0.3, travel_z_um=-15.0)
    data["filter_wheel"].update(timeout_s=0.3)
    if data["name"] == "demo adapters":
        data["camera"]["readout_modes"] = {"high": {"Gain": "3"}}
        gate = {"label": "Gate405", "enable_property": "State"}
        data["lasers"][0].update(gate)  # one line of each vocabulary
    path.write_text(yaml.safe_dump(data))


@pytest.fixture(scope="module", params=["demo", "simulated"])
def microscope(request):
    with short_folder() as folder:
        if request.param == "demo":
            path = write_config("demo", folder)
            quick(path)
            with opened(path, folder) as hardware:
                yield hardware, load(path)
            return
        with simulated_here(folder) as bench:
            quick(bench.config)
            with opened(bench.config, folder) as hardware:
                yield hardware, load(bench.config)


@pytest.fixture
def bench(microscope, tmp_path):
    """Take a run over a faulty core; what it left is compared with the truth."""
    hardware, config = microscope
    real = hardware._handle.core
    # Every setting must be made anew: what was right by chance would hide a fault.
    hardware.stage.move_to(x_um=0.0, y_um=0.0)
    hardware.focus.move_to(z_um=1.0)
    hardware.wheel.turn_to("open")
    hardware.camera.arm(frames=1, exposure_ms=10.0)
    for laser in hardware.lasers.values():
        laser.set_power(1.0)
    core = FaultyCore(real, config)
    hardware._handle._core = core

    def take(fault: Fault | None = None, *, busy: str = ""):
        core.fault, core.busy = fault, busy
        with rig(tmp_path, microscope=hardware, config=config) as engine:
            engine.desk.submit(request(plan=plan(config)))
            view = ended(engine)
            return view, engine.units(view.id), core

    yield take
    hardware._handle._core = real
    hardware.dark()
    hardware.camera.disarm()


def ended(engine):
    """Return the run once it is over; one that pauses for a person is stopped."""
    deadline = time.monotonic() + PATIENCE_S
    while (view := engine.desk.runs()[0]).state not in FINAL:
        assert time.monotonic() < deadline, view
        if view.state == "paused":
            engine.desk.helm.stop(view.id)
        time.sleep(0.01)
    return engine.finish()


def require_true_labels(units, core) -> None:
    """Hold every frame that was handed over against what the hardware was then."""
    wanted_mode = next(iter(core.config.camera.readout_modes.values()))
    left = list(core.truths)
    for name, unit in units.items():
        frames, left = left[: unit.delivered], left[unit.delivered :]
        if unit.written == 0:
            continue
        place, channel = name.split("/")
        for found in frames:
            assert found["place"] == (10 if place == "r00_c00" else 60, 20), name
            assert found["lit"] == {int(channel): PERCENT}, name
            assert found["filter"] == core.config.filter_wheel.lines[int(channel)], name
            assert found["roi"] == ROI, name
            assert found["exposure_ms"] == 20.0, name
            assert found["mode"] == found["mode"] | wanted_mode, name


HARMLESS = {
    "clearROI",  # the region is set and read back after it
    "clearCircularBuffer",  # the ring is made anew at the start of a burst
    "setCircularBufferMemoryFootprint",  # a ring of another size shows as an overflow
    "stopSequenceAcquisition",  # the camera ends by itself after its last frame
    "waitForDevice",  # what was waited for is read back
}
"""Setters that may do nothing without a wrong frame coming of it."""
AT_OPENING = {
    "loadDevice",
    "initializeDevice",
    "loadSystemConfiguration",
    "setParentLabel",
    "setCameraDevice",
    "setAutoShutter",
    "unloadAllDevices",
    "setConfig",
    "reset",
}
"""Called before or after every run."""
SETTERS = {
    "setXYPosition",
    "setPosition",
    "setExposure",
    "setROI",
    "setProperty",
    "setShutterOpen",
    "setStateLabel",
    "startSequenceAcquisition",
    "stop",
    *HARMLESS,
}
OF_THE_FOCUS = {"setRelativePosition", "setAutoFocusDevice", "setAutoFocusOffset"}
"""In runs that focus; held to tests/contract/test_focus_lock_contract.py."""
ONE_SIDED = {"setShutterOpen": "demo", "stop": "neither"}
"""Setters that only one of the microscopes uses in a run without another fault."""
KINDS = ["raises", "times out", "silent"]


def test_the_table_names_every_setter_that_the_adapters_use():
    words = ("set", "clear", "start", "stop", "wait", "load", "unload", "init", "reset")
    used = {
        node.func.attr
        for path in Path(adapters.__path__[0]).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name | ast.Attribute)
        and ast.unparse(node.func.value).split(".")[-1] == "core"
        and node.func.attr.startswith(words)
    }
    assert used == SETTERS | AT_OPENING | OF_THE_FOCUS


def test_without_a_fault_the_run_is_whole_and_its_labels_true(bench):
    view, units, core = bench()
    assert view.state == "completed", view
    assert all(unit.written == FRAMES for unit in units.values())
    assert len(core.truths) == 4 * FRAMES
    require_true_labels(units, core)
    words = ("set", "clear", "start", "stop", "wait")
    assert {n for n in core.called if n.startswith(words)} <= SETTERS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(SETTERS - {"stop"}))
def test_no_frame_is_stored_under_a_wrong_label(bench, microscope, name, kind):
    fault = Fault(name, kind)
    view, units, core = bench(fault)
    require_true_labels(units, core)
    if not fault.met:
        assert ONE_SIDED.get(name) == "demo"
        return
    if kind == "silent" and name in HARMLESS:
        assert all(unit.written == FRAMES for unit in units.values())
        return
    if name == "stopSequenceAcquisition":  # every frame had come: told, not refused
        assert all(unit.written == FRAMES and unit.reason for unit in units.values())
        return
    assert view.state != "completed"
    harmed = [unit for unit in units.values() if unit.state != "complete"]
    assert harmed
    assert all(unit.reason for unit in harmed)


def settings(config) -> dict[str, str]:
    """Return one argument of each kind of property that a run sets."""
    line = config.laser(561)
    mode = next(iter(config.camera.readout_modes.values()))
    emission = next(n.enable_property for n in config.lasers if n.enable_property)
    return {"power": line.power_property, "read-out": next(iter(mode))} | {
        "emission": emission
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["power", "read-out", "emission"])
def test_no_property_that_fails_leaves_a_wrong_label(bench, microscope, what, kind):
    fault = Fault("setProperty", kind, of=settings(microscope[1])[what])
    view, units, core = bench(fault)
    assert fault.met
    require_true_labels(units, core)
    assert view.state != "completed"


@pytest.mark.parametrize("drive", ["stage", "focus", "filter_wheel"])
@pytest.mark.parametrize("stop", [None, "raises", "times out", "silent"])
def test_a_drive_that_never_arrives_takes_no_frame(bench, microscope, drive, stop):
    label = getattr(microscope[1], drive).label
    fault = Fault("stop", stop) if stop else None
    view, units, core = bench(fault, busy=label)
    assert view.state != "completed"
    assert core.truths == []
    assert {unit.written for unit in units.values()} == {0}
