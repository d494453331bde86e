"""The processes of a microscope, started and kept by one context manager."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from fake_microscope import make_config
from short import short_folder

from her2sr_acq.config import resolve
from her2sr_acq.control import ControlClient
from her2sr_acq.errors import (
    ConfigError,
    LightError,
    RunConflictError,
    ServiceUnavailableError,
)
from her2sr_acq.launcher import Launcher
from her2sr_acq.ownership import Hold, Holder, holder

DEMO = resolve("demo")


@pytest.fixture
def runtime(monkeypatch):
    with short_folder() as folder:
        monkeypatch.setenv("HER2SR_RUNTIME", str(folder))
        yield folder


def until(is_so) -> None:
    deadline = time.monotonic() + 20.0
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_failed(service) -> bool:
    try:
        service.check()
    except (ServiceUnavailableError, LightError):
        return True
    return False


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Tell a process from what is left of it until its new parent looks."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_hardware_process_answers_and_its_death_ends_the_service(tmp_path, runtime):
    with Launcher(DEMO, tmp_path, port=0, only=["acq"]) as service:
        pid = ControlClient(service.runtime).health().pid
        assert service.pids == {"acq": pid}
        assert holder(tmp_path).url == service.url
        service.check()
        os.kill(pid, signal.SIGTERM)
        until(lambda: is_failed(service))
        with pytest.raises(ServiceUnavailableError, match="acq process ended with co"):
            service.check()
    assert holder(tmp_path) is None


def test_a_killed_hardware_process_leaves_the_light_in_doubt_until_the_end(
    tmp_path, runtime
):
    service = Launcher(DEMO, tmp_path, port=0, only=["acq"])
    service.__enter__()
    os.kill(service.pids["acq"], signal.SIGKILL)
    until(lambda: is_failed(service))
    with pytest.raises(LightError, match=r"code -9.* not proven off: switch it off"):
        service.check()
    with pytest.raises(LightError, match="not proven off"):
        service.__exit__()


LOST = """
import os, signal, sys
from pathlib import Path
from her2sr_acq.config import resolve
from her2sr_acq.launcher import Launcher

with Launcher(resolve("demo"), Path(sys.argv[1]), port=0, only=["acq", "api"]) as it:
    print(*it.pids.values(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_launcher_leaves_no_process_behind(tmp_path, runtime):
    lost = subprocess.run(
        [sys.executable, "-c", LOST, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert lost.returncode == -signal.SIGKILL, lost.stderr
    pids = [int(pid) for pid in lost.stdout.split()]
    assert len(pids) == 2
    until(lambda: not any(is_running(pid) for pid in pids))
    assert holder(tmp_path) is None
    assert "ending" in (tmp_path / "logs" / "acq.log").read_text()


def test_the_web_service_comes_back_when_it_dies_and_ends_with_the_rest(
    tmp_path, runtime
):
    with Launcher(DEMO, tmp_path, port=0, only=["api"]) as service:
        first = service.pids["api"]
        os.kill(first, signal.SIGKILL)
        until(lambda: service.pids["api"] != first and service._api_answers())
        service.check()
        second = service.pids["api"]
    assert not is_alive(second)


def test_a_process_that_cannot_start_is_told_by_its_own_sentence(tmp_path, runtime):
    config = tmp_path / "fake.yaml"
    config.write_text(yaml.safe_dump(make_config().model_dump(mode="json")))
    launcher = Launcher(config, tmp_path / "data", port=0, only=["acq"])
    with pytest.raises(ConfigError, match=r"ended with code 2: .*fake\.cfg"):
        launcher.__enter__()
    assert holder(tmp_path / "data") is None


def test_a_held_data_folder_is_refused_with_the_address_of_its_service(
    tmp_path, runtime
):
    owner = Holder(
        pid=4242, started_utc="", configuration="x", runtime="r", url="http://h:1"
    )
    with (
        Hold(tmp_path, owner),
        pytest.raises(RunConflictError, match="use its service at http://h:1"),
    ):
        Launcher(DEMO, tmp_path, port=0, only=["acq"]).__enter__()


def test_an_unknown_process_is_refused(tmp_path, runtime):
    with pytest.raises(ConfigError, match="no process 'guard'; choose of: microscope"):
        Launcher(DEMO, tmp_path, only=["guard"])
