"""The doctor finds what is wrong, names it, and leaves the microscope dark."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml
from fake_microscope import FakeWatch
from microscopes import write_config

from her2sr_acq.config import load, resolve
from her2sr_acq.devices.mmcore.lint_static import StaticReport
from her2sr_acq.devices.ports import Reading, Seen
from her2sr_acq.devices.registry import look_around
from her2sr_acq.errors import DeviceError
from her2sr_acq.verbs.doctor import examine


@dataclass
class FakePart:
    """A camera, a stage, a focus drive, a filter wheel and a laser at once."""

    shape: tuple[int, int] = (512, 512)
    place: object = (0.0, 0.0)
    lit: bool = False

    def position_um(self):
        return self.place

    def position(self):
        return self.place

    def is_on(self):
        return self.lit


@dataclass
class FakeMicroscope:
    """Adapters and hardware of a microscope that is as it should be."""

    camera: FakePart = field(default_factory=FakePart)
    stage: FakePart = field(default_factory=FakePart)
    focus: FakePart = field(default_factory=lambda: FakePart(place=0.0))
    lasers: dict[int, FakePart] = field(default_factory=lambda: {561: FakePart()})
    wheel: FakePart = field(default_factory=lambda: FakePart(place="open"))
    watches: list[FakeWatch] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    files: StaticReport = field(
        default_factory=lambda: StaticReport((), ("no source says",))
    )
    seen: list[Seen] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=lambda: {"Exposure": "30"})
    refuses: str = ""
    closed: int = 0

    def open_hardware(self, config, config_path, /):
        if self.refuses:
            raise DeviceError(self.refuses)
        return self

    def lint_presets(self, config, config_path, /):
        return self.faults

    def look_around(self, config, config_path, /):
        return self.seen

    def lint_files(self, config, config_path, /):
        return self.files

    def dark(self):
        return None

    def readings(self):
        return [Reading("Cam", "camera", "Demo", self.values)]

    def close(self):
        self.closed += 1


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A real microscope's configuration: without a simulator."""
    data = yaml.safe_load(resolve("demo").read_text())
    path = tmp_path / "bench.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def bad(config: Path, data: Path, microscope: FakeMicroscope) -> dict[str, str]:
    found = examine(config, data, adapters=microscope)
    return {f.subject: f.detail for f in found if not f.is_good}


def test_a_sound_microscope_passes_and_is_closed(config, tmp_path):
    microscope = FakeMicroscope()
    found = examine(config, tmp_path, adapters=microscope)
    assert all(finding.is_good for finding in found)
    assert microscope.closed == 1
    assert {"light", "presets", "disk", "clock", "permissions", "camera Cam"} <= {
        finding.subject for finding in found
    }


WRONG = [
    pytest.param({"camera": FakePart((64, 64))}, "frame size", "64 x 64", id="camera"),
    pytest.param({"stage": FakePart(place=(9e9, 0.0))}, "position", "limits", id="xy"),
    pytest.param({"focus": FakePart(place=99.0)}, "position", "limits", id="z"),
    pytest.param({"lasers": {561: FakePart(lit=True)}}, "light", "561", id="lit"),
    pytest.param({"wheel": FakePart(place="")}, "filter wheel", "between", id="wheel"),
    pytest.param({"faults": ["no label X"]}, "presets", "no label X", id="preset"),
    pytest.param({"refuses": "no camera"}, "microscope", "no camera", id="open"),
    pytest.param(
        {"watches": [FakeWatch(name="door", says="it is open")]},
        "door",
        "it is open",
        id="interlock",
    ),
    pytest.param({"values": {"fault": "mute"}}, "camera Cam", "mute", id="reading"),
    pytest.param(
        {"files": StaticReport(("line 3 is odd",), ())}, "files", "line 3", id="files"
    ),
]


@pytest.mark.parametrize(("change", "subject", "word"), WRONG)
def test_each_fault_is_named_and_the_rest_is_still_looked_at(
    config, tmp_path, change, subject, word
):
    faults = bad(config, tmp_path, replace(FakeMicroscope(), **change))
    assert list(faults) == [subject]
    assert word in faults[subject]


def test_a_protocol_that_can_never_run_here_is_named(config, tmp_path):
    data = yaml.safe_load(config.read_text())
    data["lasers"] = [line for line in data["lasers"] if line["nm"] != 488]
    del data["filter_wheel"]["lines"][488]
    config.write_text(yaml.safe_dump(data))
    faults = bad(config, tmp_path, FakeMicroscope())
    assert "488 nm" in faults["protocol demo"]


def test_a_place_that_is_a_file_cannot_be_written(config, tmp_path):
    assert "permissions" in bad(config, config, FakeMicroscope())


def change(config: Path, **keys) -> None:
    data = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump(data | keys))


def test_of_a_microscope_that_does_not_open_what_is_there_is_listed_too(
    config, tmp_path
):
    seen = [Seen("camera", "it answers", ""), Seen("stage", "mute", "switch it on")]
    microscope = FakeMicroscope(refuses="XY: mute", seen=seen)
    found = {f.subject: f for f in examine(config, tmp_path, adapters=microscope)}
    assert found["camera"].is_good
    assert found["stage"].detail == "mute; switch it on"
    assert "1 of 2 parts fail" in found["microscope"].detail


def test_what_nobody_has_checked_is_a_note_and_no_fault(config, tmp_path):
    change(config, unverified=["never seen at work"])
    microscope = FakeMicroscope(refuses="no power")
    found = examine(config, tmp_path, adapters=microscope)
    notes = [f for f in found if f.mark == "note"]
    assert [f.detail for f in notes] == ["never seen at work", "no source says"]
    assert all(f.is_good for f in notes)


def test_names_that_a_device_has_shown_need_no_source(config, tmp_path):
    found = examine(config, tmp_path, adapters=FakeMicroscope())
    assert not any(f.is_note for f in found)


def test_light_that_no_guard_can_shut_is_a_fault(config, tmp_path):
    change(config, guard={})
    faults = bad(config, tmp_path, FakeMicroscope())
    assert "nothing shuts 405, 488, 561 nm" in faults["guard"]


def test_a_guards_port_that_is_not_there_is_a_fault(config, tmp_path):
    way = {"nm": [405, 488, 561], "port": f"serial:{tmp_path}/none:9600"}
    way |= {"exchanges": [{"send": "OFF", "expect": "OK"}]}
    change(config, guard={"safe_off": [way]})
    ((subject, detail),) = bad(config, tmp_path, FakeMicroscope()).items()
    assert subject.startswith("guard's path serial:")
    assert "is not there; connect the light's controller" in detail


def test_a_latch_is_told_with_its_cause(config, tmp_path):
    (tmp_path / "latch.json").write_text(
        '{"kind": "interlock", "cause": "door", "utc": "2026-01-01T00:00:00Z"}'
    )
    faults = bad(config, tmp_path, FakeMicroscope())
    assert faults["latch"].startswith("interlock: door (since 2026")
    assert "her2sr rearm" in faults["latch"]


def test_a_latch_that_cannot_be_read_is_a_latch(config, tmp_path):
    (tmp_path / "latch.json").write_text("?")
    assert "cannot be read" in bad(config, tmp_path, FakeMicroscope())["latch"]


def test_too_little_above_the_low_water_is_a_fault(config, tmp_path):
    change(config, storage={"low_water_mb": 10**9})
    assert "room for 0 frames" in bad(config, tmp_path, FakeMicroscope())["disk"]


def test_a_microscope_of_another_system_is_read_and_not_opened(config, tmp_path):
    change(config, platform="windows", unverified=["closed"])
    microscope = FakeMicroscope()
    found = examine(config, tmp_path, adapters=microscope, system="linux")
    assert [f.subject for f in found if not f.is_good] == ["platform"]
    assert microscope.closed == 0
    assert {"files", "unverified"} <= {f.subject for f in found}
    on_windows = examine(config, tmp_path, adapters=microscope, system="win32")
    assert all(f.is_good for f in on_windows)


def test_a_half_broken_microscope_names_the_broken_half_with_its_cure(tmp_path):
    config = write_config("demo", tmp_path)
    data = yaml.safe_load(config.read_text())
    cfg = Path(data["mmcore"]["cfg"]).read_text()
    cfg = cfg.replace("Focus,DemoCamera,DStage", "Focus,NoSuchLibrary,DStage")
    (tmp_path / "bench.cfg").write_text(cfg)
    change(config, mmcore=data["mmcore"] | {"cfg": "bench.cfg"})
    seen = {one.subject: one for one in look_around(load(config), config)}
    assert seen["device Camera"].cure == ""
    assert "install the adapter 'NoSuchLibrary'" in seen["device Focus"].cure
    assert seen["stage"].cure == seen["laser 488"].cure == ""
    assert seen["focus"].cure == "see device Focus"


def test_the_packaged_real_microscope_is_absent_here_and_says_so(tmp_path):
    found = examine(resolve("obis_ibeam_andor_asi_crisp"), tmp_path)
    marks = {f.subject: f.mark for f in found}
    assert marks["device L488"] == marks["laser 488"] == "FAIL"
    assert marks["files"] == marks["guard"] == "ok"
    assert marks["unverified"] == "note"
