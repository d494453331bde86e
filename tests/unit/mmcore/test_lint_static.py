"""The linter without hardware, and the packaged configurations that it must pass."""

import logging
from pathlib import Path

import pytest
import yaml

from her2sr_acq.config import load, resolve
from her2sr_acq.devices.mmcore.cfg import CfgFile
from her2sr_acq.devices.mmcore.lint_static import StaticReport, lint_static

REAL = ["obis_ibeam_andor_asi_crisp", "omicron_orca_ti2_pfs"]
PACKAGED = [*REAL, "demo", "simulated"]


def report_of(path: Path) -> StaticReport:
    config = load(path)
    return lint_static(config, CfgFile(path.parent / config.mmcore.cfg))


@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_configuration_passes(name):
    assert report_of(resolve(name)).faults == ()


@pytest.mark.parametrize("name", REAL)
def test_a_real_configuration_says_what_nobody_has_checked(name):
    path = resolve(name)
    assert "nothing was run on hardware" in load(path).unverified[0]
    assert report_of(path).unverified
    assert "NOTHING HERE WAS RUN ON HARDWARE" in path.with_suffix(".cfg").read_text()


@pytest.mark.parametrize("name", REAL)
def test_micro_managers_own_model_reads_a_real_configuration(name, monkeypatch):
    # its import raises the level of every log, and records would hold later cores
    level = logging.getLogger().level
    monkeypatch.setenv("PYMM_LOG_FILE", "0")
    from pymmcore_plus.model import Microscope

    logging.getLogger().setLevel(level)

    cfg = CfgFile(resolve(name).with_suffix(".cfg"))
    model = Microscope.create_from_config(str(cfg.path))
    assert [d.name for d in model.devices] == [d.label for d in cfg.devices()]
    assert set(model.config_groups["System"].presets) == {"Startup", "Shutdown"}


def test_only_the_one_with_closed_adapters_is_bound_to_windows():
    assert [load(resolve(name)).platform for name in REAL] == ["any", "windows"]


@pytest.fixture
def real(tmp_path):
    """A real pair, to be damaged: `damage(old, new)` returns its faults."""
    source = resolve(REAL[0])
    cfg = tmp_path / "bench.cfg"
    path = tmp_path / "bench.yaml"

    def damage(old: str, new: str) -> list[str]:
        data = yaml.safe_load(source.read_text())
        data["mmcore"]["cfg"] = cfg.name
        path.write_text(yaml.safe_dump(data))
        text = source.with_suffix(".cfg").read_text()
        assert old in text
        cfg.write_text(text.replace(old, new))
        return list(report_of(path).faults)

    return damage


SHUT = "ConfigGroup,System,Shutdown,L488,State,0"
STATE = "ConfigGroup,System,Startup,L488,State,0"
DAMAGE = [
    pytest.param("Delay,L488,5", "Dealy,L488,5", "no command is called", id="command"),
    pytest.param("Delay,L488,5", "Delay,L488", "followed by 1 words", id="words"),
    pytest.param("Delay,L488,5", "Delay,L488,soon", "write milliseconds", id="delay"),
    pytest.param("Delay,L488,5", "Delay,L489,5", "'L489', which is not", id="label"),
    pytest.param("Trigger,FPGA", "Trigger,Hub", "device 'Hub', which", id="parent"),
    pytest.param("AutoFocus,CRISP", "AutoFocus,AF", "device 'AF', which", id="role"),
    pytest.param(STATE, STATE.replace("488", "489"), "device 'L489'", id="preset"),
    pytest.param(SHUT, SHUT[:-1] + "1", "leaves the 488 nm laser on", id="light"),
    pytest.param(SHUT, "", "does not shut the 488 nm laser; add", id="not shut"),
    pytest.param("System,Startup", "Sys,Start", "no preset System/Startup", id="start"),
    pytest.param("ZStage,1\n", "ZStage,0\n", "FocusDirection is '0'", id="direction"),
    pytest.param("FocusDirection,ZStage,1", "", "which way the focus", id="no way"),
    pytest.param("100x,0.065", "100x,0.13", "says 65 nm", id="pixel"),
    pytest.param("100x,0.065", "100x,small", "'small' um", id="no pixel"),
    pytest.param(
        "Device,L561,", "Device,L488,", "'L488' is declared 2 times", id="label twice"
    ),
    pytest.param(
        "Device,ZStage,", "Device,Zed,", "yaml names device 'ZStage'", id="undeclared"
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), DAMAGE)
def test_each_fault_of_a_file_is_named(real, old, new, message):
    assert any(message in fault for fault in real(old, new))


def test_a_missing_shutdown_is_named_with_every_line_that_stays_on(real):
    found = real("System,Shutdown", "System,Bedtime")
    assert sum("no preset System/Shutdown" in fault for fault in found) == 1
    assert sum("does not shut the" in fault for fault in found) == 3


def test_a_property_that_no_source_names_is_unverified_and_no_fault(real, tmp_path):
    assert real("Startup,L488,State,0", "Startup,L488,Sparkle,0") == []
    (about,) = [s for s in report_of(tmp_path / "bench.yaml").unverified if "L488" in s]
    assert about.endswith("has 'Sparkle'")
