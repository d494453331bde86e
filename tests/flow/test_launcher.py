"""The processes of a microscope, started and kept by one context manager."""

import os
import signal
import subprocess
import sys
import time

import httpx
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
from her2sr_proc import memory

DEMO = resolve("demo")
GUARD = {"safe_off": [{"nm": [405, 488, 561], "dies_with_acq": True}]}


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


def environment_of(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/environ") as file:
        return dict(word.partition("=")[::2] for word in file.read().split("\0"))


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


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=1.0).is_success
    except httpx.TransportError:
        return False


def health_pid(service) -> int | None:
    try:
        return ControlClient(service.runtime, deadline_s=1.0).health().pid
    except ServiceUnavailableError:
        return None


def test_the_guards_end_is_the_end_of_the_hardware_process_and_the_service(
    tmp_path, runtime
):
    with Launcher(DEMO, tmp_path, port=0, only=["guard"]) as service:
        assert service.pids["acq"] == health_pid(service)
        assert holder(tmp_path).url == service.url
        service.check()
        os.kill(service.pids["guard"], signal.SIGTERM)
        until(lambda: is_failed(service))
        with pytest.raises(ServiceUnavailableError, match="guard process ended with c"):
            service.check()
    assert holder(tmp_path) is None


def test_processes_that_blocks_pass_through_have_one_heap(tmp_path, runtime):
    with Launcher(DEMO, tmp_path, port=0, only=["guard", "localizer"]) as service:
        for name in ("acq", "localizer"):
            words = environment_of(service.pids[name])
            assert words.items() >= memory.ENVIRONMENT.items()


@pytest.mark.parametrize("victim", ["acq", "guard"])
def test_a_killed_hardware_process_or_guard_is_started_again(tmp_path, runtime, victim):
    with Launcher(DEMO, tmp_path, port=0, only=["acq"]) as service:
        first = service.pids
        os.kill(first[victim], signal.SIGKILL)
        until(lambda: health_pid(service) not in (None, first["acq"]))
        service.check()
        assert not is_running(first["acq"])
        assert (service.pids["guard"] == first["guard"]) == (victim == "acq")


def test_a_guard_that_cannot_prove_the_light_off_leaves_it_in_doubt(tmp_path, runtime):
    simulated = resolve(
        "simulated"
    )  # without a microscope nobody answers for the light
    with pytest.raises(LightError, match="not proven off: switch it off by hand"):
        Launcher(simulated, tmp_path, port=0, only=["guard"]).__enter__()


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
    assert len(pids) == 3
    until(lambda: not any(is_running(pid) for pid in pids))
    assert holder(tmp_path) is None
    assert "ending" in (tmp_path / "logs" / "acq.log").read_text()


def test_the_web_service_comes_back_when_it_dies_and_ends_with_the_rest(
    tmp_path, runtime
):
    with Launcher(DEMO, tmp_path, port=0, only=["api"]) as service:
        first = service.pids["api"]
        os.kill(first, signal.SIGKILL)
        until(lambda: service.pids["api"] != first and answers(service.url))
        service.check()
        second = service.pids["api"]
        # else whoever first reads results holds up everybody, and an e-stop, by it
        assert any("scipy" in one.path for one in psutil.Process(second).memory_maps())
    assert not is_alive(second)


def test_a_process_that_cannot_start_is_told_by_its_own_sentence(tmp_path, runtime):
    config = tmp_path / "fake.yaml"
    model = make_config().model_dump(mode="json")
    config.write_text(yaml.safe_dump(model | {"guard": GUARD}))
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


def test_a_line_that_nothing_shuts_is_refused_before_anything_starts(tmp_path, runtime):
    config = tmp_path / "fake.yaml"
    config.write_text(yaml.safe_dump(make_config().model_dump(mode="json")))
    launcher = Launcher(config, tmp_path / "data", port=0, only=["guard"])
    with pytest.raises(ConfigError, match="nothing shuts the line of 405 nm"):
        launcher.__enter__()


def test_an_unknown_process_is_refused(tmp_path, runtime):
    with pytest.raises(ConfigError, match="no process 'laser'; choose of: microscope"):
        Launcher(DEMO, tmp_path, only=["laser"])
