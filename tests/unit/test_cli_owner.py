"""Root, asked to do something in a service's data folder, does it as the service."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CODE = """
import os, sys
from pathlib import Path
from her2sr_acq.cli_manners import act_as_owner
data = act_as_owner(Path(sys.argv[1]))
(data / "written").touch()
print(os.getuid(), os.geteuid(), os.getgid(), *os.getgroups())
"""
SERVICE, STAFF = 64_123, 64_124
"""Numbers that no user and no group of a machine has."""


def acted(data) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(data)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_root_acts_as_the_owner_and_keeps_no_right():
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        os.chown(data, SERVICE, STAFF)
        assert acted(data) == [SERVICE, SERVICE, STAFF, STAFF]
        assert (data / "written").stat().st_uid == SERVICE


def test_whoever_owns_the_folder_stays_who_he_is(tmp_path):
    assert acted(tmp_path)[:2] == [os.getuid(), os.geteuid()]
