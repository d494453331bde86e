"""One hardware process a data folder, and others can ask which."""

import os
import subprocess
import sys

import pytest
from short import short_folder

from her2sr_acq.errors import ConfigError, RunConflictError
from her2sr_acq.ownership import Hold, Holder, holder
from her2sr_acq.runtime import runtime_folder


def me(pid=None) -> Holder:
    return Holder(
        pid=pid or os.getpid(),
        started_utc="2026-01-01T00:00:00Z",
        configuration="fake",
        runtime="/run/x",
        url="http://127.0.0.1:8000",
    )


def test_a_held_folder_names_its_holder_and_a_free_one_nobody(tmp_path):
    assert holder(tmp_path) is None
    with Hold(tmp_path, me()):
        assert holder(tmp_path) == me()
    assert holder(tmp_path) is None


def test_a_second_holder_is_told_the_first_ones_process(tmp_path):
    pauses = []
    with (
        Hold(tmp_path, me(pid=4242)),
        pytest.raises(RunConflictError, match="held by process 4242"),
    ):
        Hold(tmp_path, me(), sleep=pauses.append).__enter__()
    assert sum(pauses) <= 0.2


def test_a_dead_holder_holds_nothing(tmp_path):
    code = (
        "import os, sys, pathlib; from her2sr_acq.ownership import Hold, Holder;"
        "h = Holder(pid=os.getpid(), started_utc='', configuration='x', runtime='r');"
        "Hold(pathlib.Path(sys.argv[1]), h).__enter__(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / "daemon.json").read_text()
    assert holder(tmp_path) is None
    with Hold(tmp_path, me()):
        assert holder(tmp_path) == me()


def test_the_runtime_folder_is_private_and_follows_from_the_data_folder(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("HER2SR_RUNTIME", raising=False)
    with short_folder() as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
        first, again = runtime_folder(tmp_path / "a"), runtime_folder(tmp_path / "a")
        assert first == again != runtime_folder(tmp_path / "b")
        assert first.stat().st_mode & 0o777 == 0o700
        assert first.parent.stat().st_mode & 0o777 == 0o700


def test_a_runtime_folder_that_is_a_link_is_refused(monkeypatch):
    with short_folder() as base:
        (base / "real").mkdir()
        (base / "link").symlink_to(base / "real")
        monkeypatch.setenv("HER2SR_RUNTIME", str(base / "link"))
        with pytest.raises(ConfigError, match="of your own"):
            runtime_folder(base)


def test_a_runtime_folder_too_long_for_sockets_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HER2SR_RUNTIME", str(tmp_path / ("x" * 90)))
    with pytest.raises(ConfigError, match="too long for sockets"):
        runtime_folder(tmp_path)
