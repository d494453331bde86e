"""The core of Micro-Manager runs where the home folder cannot be written."""

import os
import subprocess
import sys

CODE = """
from pathlib import Path
from her2sr_acq.devices.mmcore import core
core._adapter_path = lambda cfg: None
core._new_core(None)
"""


def test_a_core_writes_nothing_into_the_home_folder(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    for name in ("PYMM_LOG_FILE", "XDG_DATA_HOME", "PYTEST_RUNNING"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.log"))
