"""The units of systemd are well formed, hardened, and speak the command's language."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from her2sr_acq.cli import build
from her2sr_acq.launcher import NAMES

DEPLOY = Path(__file__).parents[3] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTALLED = "/opt/her2sr/bin/her2sr"
MOST_EXPOSED = 20
"""Tenths of systemd's own scale from 0 to 10; it calls 20 and less fine."""


def analyze(*words) -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed on this machine")
    done = subprocess.run(
        [tool, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    return done.stderr


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request, tmp_path):
    """A unit as it would be installed, with the command of this environment."""
    here = Path(sys.executable).with_name("her2sr")
    path = tmp_path / request.param.name
    path.write_text(request.param.read_text().replace(INSTALLED, str(here)))
    return path


def test_systemd_finds_nothing_wrong_with_a_unit(unit):
    complaints = [n for n in analyze("verify", unit).splitlines() if "her2sr" in n]
    assert complaints == []


def test_a_unit_may_touch_little_of_its_machine(unit):
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)


def test_every_process_of_a_real_microscope_has_a_unit():
    named = {path.stem.removeprefix("her2sr-") for path in UNITS}
    assert named == set(NAMES) - {"microscope"}


def test_units_call_verbs_with_options_that_there_are():
    from typer.main import get_command

    verbs = get_command(build()).commands
    for path in UNITS:
        for line in re.findall(rf"^Exec\w+={INSTALLED} (.+)$", path.read_text(), re.M):
            verb, *words = line.split()
            known = {name for p in verbs[verb].params for name in p.opts}
            assert {word for word in words if word.startswith("--")} <= known, line


def test_the_dark_is_proven_after_every_stop_of_what_drives_lasers():
    text = (DEPLOY / "systemd" / "her2sr-guard.service").read_text()
    assert f"ExecStopPost={INSTALLED} dark --data ${{DATA}}" in text
    assert "\nRestart=no\n" in text
