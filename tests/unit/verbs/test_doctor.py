"""The doctor finds what is wrong, names it, and leaves the microscope dark."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from her2sr_acq.config import resolve
from her2sr_acq.devices.ports import Reading
from her2sr_acq.errors import DeviceError
from her2sr_acq.verbs.doctor import examine


@dataclass
class FakePart:
    """A camera, a stage, a focus drive and a laser at once."""

    shape: tuple[int, int] = (512, 512)
    place: object = (0.0, 0.0)
    lit: bool = False

    def position_um(self):
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
    faults: list[str] = field(default_factory=list)
    refuses: str = ""
    closed: int = 0

    def open_hardware(self, config, config_path, /):
        if self.refuses:
            raise DeviceError(self.refuses)
        return self

    def lint_presets(self, config, config_path, /):
        return self.faults

    def dark(self):
        return None

    def readings(self):
        return [Reading("Cam", "camera", "Demo", {"Exposure": "30"})]

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
    pytest.param({"faults": ["no label X"]}, "presets", "no label X", id="preset"),
    pytest.param({"refuses": "no camera"}, "microscope", "no camera", id="open"),
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
    config.write_text(yaml.safe_dump(data))
    faults = bad(config, tmp_path, FakeMicroscope())
    assert "488 nm" in faults["protocol demo"]


def test_a_place_that_is_a_file_cannot_be_written(config, tmp_path):
    assert "permissions" in bad(config, config, FakeMicroscope())
