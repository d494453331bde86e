"""The demo configuration as a workbench, to be damaged and opened."""

import re
from pathlib import Path

import pytest
import yaml
from microscopes import write_config

from her2sr_acq.config import load
from her2sr_acq.devices.mmcore.survey import survey
from her2sr_acq.devices.ports import Hardware, Seen
from her2sr_acq.devices.registry import lint_presets, open_hardware


class Workbench:
    """The demo configuration, to be damaged and opened."""

    def __init__(self, folder: Path) -> None:
        self.path = write_config("demo", folder)
        self.data = yaml.safe_load(self.path.read_text())
        self._cfg = folder / "bench.cfg"
        self._cfg.write_text(Path(self.data["mmcore"]["cfg"]).read_text())
        self.data["mmcore"]["cfg"] = "bench.cfg"
        self.opened: list[Hardware] = []

    def replace(self, old: str, new: str) -> None:
        text = self._cfg.read_text()
        assert old in text
        self._cfg.write_text(text.replace(old, new))

    def replace_camera(self, python_class: str) -> None:
        self.replace_device("Camera", f"broken_devices,{python_class}")
        self.replace("Property,Core,Camera,Camera", "")
        self.data["mmcore"]["settings"] = {}

    def replace_device(self, label: str, python: str) -> None:
        text = self._cfg.read_text()
        text = re.sub(f"(?m)^Parent,{label},DHub$", "", text)
        text = re.sub(rf"(?m)^ConfigGroup,System,\w+,{label},.*$", "", text)
        text = re.sub(
            f"(?m)^Device,{label},.*$", f"#py pyDevice,{label},{python}", text
        )
        self._cfg.write_text(text)

    def open(self) -> Hardware:
        self.path.write_text(yaml.safe_dump(self.data))
        self.opened.append(open_hardware(load(self.path), self.path))
        return self.opened[-1]

    def lint(self) -> list[str]:
        self.path.write_text(yaml.safe_dump(self.data))
        return lint_presets(load(self.path), self.path)

    def survey(self) -> list[Seen]:
        self.path.write_text(yaml.safe_dump(self.data))
        return survey(load(self.path), self.path)


@pytest.fixture
def bench(tmp_path):
    workbench = Workbench(tmp_path)
    yield workbench
    for hardware in workbench.opened:
        hardware.close()
