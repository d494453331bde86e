"""What every filter wheel must do: that of the demo adapters, and the simulated one."""

import pytest
import yaml
from microscopes import opened, simulated_here, write_config
from short import short_folder

from her2sr_acq.devices.mmcore.wheel import MMFilterWheel
from her2sr_acq.errors import (
    ConfigError,
    DeviceError,
    DeviceTimeoutError,
    ReadBackError,
)

FILTERS = ("447/60", "525/50", "600/52", "open")


@pytest.fixture(scope="module", params=["simulated", "demo"])
def hardware(request):
    with short_folder() as folder:
        if request.param == "demo":
            with opened(write_config("demo", folder), folder) as demo:
                yield demo
            return
        with simulated_here(folder) as bench, opened(bench.config, folder) as real:
            yield real


@pytest.fixture
def wheel(hardware):
    return hardware.wheel


def test_it_goes_to_every_filter_and_reads_back(wheel):
    for name in (*FILTERS, *reversed(FILTERS)):
        wheel.turn_to(name)
        assert wheel.position() == name


def test_asked_for_where_it_stands_it_stays(wheel):
    wheel.turn_to("525/50")
    wheel.turn_to("525/50")
    assert wheel.position() == "525/50"


def test_a_filter_that_there_is_not_is_an_error_and_moves_nothing(wheel):
    wheel.turn_to("447/60")
    with pytest.raises(DeviceError, match="Emission: "):
        wheel.turn_to("700/50")
    assert wheel.position() == "447/60"


def test_a_wheel_that_stands_elsewhere_is_an_error(wheel, monkeypatch):
    monkeypatch.setattr(wheel, "position", lambda: "open")
    with pytest.raises(ReadBackError, match="turned to '525/50' and reads 'open'"):
        wheel.turn_to("525/50")


@pytest.mark.parametrize(
    ("call", "value"),
    [
        pytest.param("getState", -1, id="no number"),
        pytest.param("getStateLabel", "", id="no label"),
        pytest.param("getState", 0, id="a number of another label"),
    ],
)
def test_number_and_label_must_agree(hardware, wheel, call, value):
    wheel.turn_to("600/52")
    core = hardware._handle.core
    hardware._handle._core = Liar(core, call, value)
    try:
        assert wheel.position() == ""
        with pytest.raises(ReadBackError, match="stands between two positions"):
            wheel.turn_to("600/52")
    finally:
        hardware._handle._core = core


class Liar:
    """A core of which one reading is wrong."""

    def __init__(self, core, call, value):
        self._core, self._wrong = core, {call: lambda _label: value}

    def __getattr__(self, name):
        return self._wrong.get(name) or getattr(self._core, name)


def test_one_that_never_stands_still_ends_in_its_deadline(hardware):
    config = hardware.wheel._config
    now = [0.0]
    core = hardware._handle.core
    hardware._handle._core = Liar(core, "deviceBusy", True)
    try:
        wheel = MMFilterWheel(
            hardware._handle,
            config,
            clock=lambda: now[0],
            sleep=lambda s: now.__setitem__(0, now[0] + s),
        )
        with pytest.raises(DeviceTimeoutError, match="still turning after"):
            wheel.turn_to("open")
    finally:
        hardware._handle._core = core
    assert config.timeout_s <= now[0] <= config.timeout_s + 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"lines": {561: "640/30"}},
            "has no position '640/30'; it has .*open",
            id="no such label",
        ),
        pytest.param({"also": ["shut"]}, "has no position 'shut'", id="none of also"),
        pytest.param({"label": "Focus"}, "Focus is no state device", id="a drive"),
    ],
)
def test_what_the_cfg_does_not_have_is_refused_when_it_is_opened(
    hardware, change, message
):
    config = hardware.wheel._config.model_copy(update=change)
    with pytest.raises(ConfigError, match=message):
        MMFilterWheel(hardware._handle, config)


def test_it_is_told_of_by_its_role(hardware, wheel):
    wheel.turn_to("525/50")
    (told,) = [r for r in hardware.readings() if r.role == "filter wheel"]
    assert (told.label, told.values["Label"]) == ("Emission", "525/50")


def test_a_microscope_may_have_none(tmp_path):
    path = write_config("demo", tmp_path)
    data = yaml.safe_load(path.read_text())
    del data["filter_wheel"]
    path.write_text(yaml.safe_dump(data))
    with opened(path, tmp_path) as hardware:
        assert hardware.wheel is None
        roles = {reading.role for reading in hardware.readings()}
    assert "filter wheel" not in roles
