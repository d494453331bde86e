"""A service that holds its data: `run` is its client, and it ends whole."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from her2sr_acq.config import resolve
from her2sr_acq.errors import RunConflictError
from her2sr_acq.ownership import holder
from her2sr_acq.verbs.demo_config import DemoOptions, write_configuration
from her2sr_acq.verbs.run import RunOrder, order_run

HER2SR = Path(sys.executable).with_name("her2sr")
TINY = [
    *("--set", "grid.rows=1", "--set", "grid.columns=1"),
    *("--set", "channels.561.frames=40", "--set", "channels.488.frames=40"),
    *("--set", "channels.405.frames=20"),
]
LONG = {
    "protocol": "demo",
    "sample": "s1",
    "operator": "op",
    "overrides": {"grid.rows": 1, "grid.columns": 1, "channels.561.frames": 5000},
}
FINAL = {"completed", "completed_with_faults", "aborted", "faulted", "interrupted"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Configuration, data folder and address of a service that is up."""
    data = tmp_path_factory.mktemp("served")
    config = write_configuration(DemoOptions(out=data, size_px=64, frames=40))
    command = [HER2SR, "serve", "--config", config, "--data", data]
    process = subprocess.Popen(
        [*command, "--port", str(free_port())], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert "answers at" in ready
        yield config, data, ready.split("answers at ")[1].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert holder(data) is None


def until(client: httpx.Client, run_id: str, wanted: set[str]) -> dict[str, object]:
    """Return the run once it is in one of the states wanted; fail after 60 s."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        view = client.get(f"/api/v1/runs/{run_id}").json()
        if view["state"] in wanted:
            return view
        time.sleep(0.05)
    raise AssertionError(f"still {view['state']}, {view['phase']}")


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service[2], trust_env=False, timeout=20) as client:
        yield client


@pytest.mark.slow
def test_run_is_a_client_of_the_service_that_holds_the_data(service):
    config, data, _ = service
    done = subprocess.run(
        [HER2SR, "run", "demo", "--config", config, "--data", data, "--json", *TINY],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["state"] == "completed"
    assert view["frames_done"] == view["frames_requested"] == 100
    assert "starting the processes" not in done.stderr


@pytest.mark.slow
def test_a_run_may_be_stopped_twice_and_keeps_what_there_is(service, client):
    accepted = client.post("/api/v1/runs", json=LONG)
    assert accepted.status_code == 202, accepted.text
    run_id = accepted.json()["id"]
    assert client.post("/api/v1/runs", json=LONG).status_code == 409
    until(client, run_id, {"running"})
    assert client.post(f"/api/v1/runs/{run_id}/stop").status_code == 200
    view = until(client, run_id, FINAL)
    assert view["state"] == "aborted"
    assert client.post(f"/api/v1/runs/{run_id}/stop").json()["state"] == "aborted"
    assert (service[1] / "runs" / run_id / "manifest.json").is_file()


@pytest.mark.slow
def test_the_service_tells_of_its_microscope(client):
    health = client.get("/readyz").json()
    assert health["simulated"] is True
    labels = {d["label"] for d in client.get("/api/v1/devices").json()["devices"]}
    assert "Camera" in labels


@pytest.mark.slow
def test_a_second_service_of_the_same_data_is_refused(service):
    config, data, url = service
    command = [HER2SR, "serve", "--config", config, "--data", data]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 2
    assert url in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_interrupting_a_run_stops_it_and_all_that_was_started(tmp_path):
    config = write_configuration(DemoOptions(out=tmp_path, size_px=64, frames=40))
    command = [HER2SR, "run", "demo", "--config", config, "--data", tmp_path]
    process = subprocess.Popen(
        [*command, "--set", "channels.561.frames=5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "acquiring" in line:
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=90)
    assert process.returncode == 1, err
    assert out.startswith("aborted: ")
    assert "Traceback" not in err
    assert holder(tmp_path) is None


def test_a_run_that_nobody_watches_is_left_to_the_service(service):
    config, data, address = service
    command = [HER2SR, "run", "demo", "--config", config, "--data", data, *TINY]
    made = subprocess.run(
        [*command, "--no-watch", "--json"], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    left = json.loads(made.stdout)
    assert left["state"] not in FINAL
    with httpx.Client(base_url=address, timeout=30) as client:
        assert until(client, left["id"], FINAL)["state"] == "completed"


def test_a_run_that_nobody_watches_needs_a_service(tmp_path):
    with pytest.raises(RunConflictError, match="start one with `her2sr serve`"):
        order_run(RunOrder("demo", resolve("simulated"), tmp_path, (), "s", "o", False))
    assert not list(tmp_path.iterdir())
