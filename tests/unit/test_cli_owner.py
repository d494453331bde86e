"""Root, asked to do something in a service's data folder, does it as the service."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from her2sr_acq import cli_manners

CODE = """
import os, sys
from pathlib import Path
from her2sr_acq import cli_manners
from her2sr_acq.cli_manners import act_as_owner
cli_manners._can_read_us = lambda uid, gid: sys.argv[2] == "reads"
data = act_as_owner(Path(sys.argv[1]))
(data / "written").touch()
print(os.getuid(), os.geteuid(), os.getgid(), *os.getgroups())
"""
SERVICE, STAFF = 64_123, 64_124
"""Numbers that no user and no group of a machine has."""


def acted(data, owner="reads") -> list[int]:
    """Return who acted. Whether the owner reads us is up to where we are installed."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(data), owner],
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_root_stays_root_where_the_owner_could_not_go_on(tmp_path):
    os.chown(tmp_path, SERVICE, STAFF)
    assert acted(tmp_path, "cannot")[:3] == [0, 0, 0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for somebody else")
def test_what_somebody_can_read_is_asked_with_their_rights(tmp_path, monkeypatch):
    ours = tmp_path / "module.py"
    ours.touch(0o600)
    monkeypatch.setattr(cli_manners, "__file__", str(ours))
    assert not cli_manners._can_read_us(SERVICE, STAFF)
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_whoever_owns_the_folder_stays_who_he_is(tmp_path):
    assert acted(tmp_path)[:2] == [os.getuid(), os.geteuid()]
