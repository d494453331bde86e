"""The image and its composition are well formed and speak the command's language."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from her2sr_acq.launcher import NAMES

DOCKER = Path(__file__).parents[3] / "docker"
COMPOSE = DOCKER / "compose.yaml"


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} is not installed on this kind of machine")
    return found


def compose() -> dict[str, dict[str, object]]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_the_dockerfile_passes_its_linter():
    done = subprocess.run(
        [tool("hadolint"), DOCKER / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("profile", [[], ["--profile", "simulated"]])
def test_compose_understands_its_file(profile):
    done = subprocess.run(
        [tool("docker-compose"), "-f", COMPOSE, *profile, "config", "--services"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = set(NAMES) if profile else set(NAMES) - {"microscope"}
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("beside", ["monitoring.yaml", "microscope.example.yaml"])
def test_compose_understands_what_may_stand_beside_its_file(beside):
    files = ["-f", COMPOSE, "-f", DOCKER / beside]
    done = subprocess.run(
        [tool("docker-compose"), *files, "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CONFIG": "/etc/her2sr/microscope.yaml"},
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    for name in set(NAMES) - {"microscope"}:
        assert "/etc/her2sr/microscope.yaml" in services[name]["command"]
        assert {place["target"] for place in services[name]["volumes"]} >= {"/data"}


@pytest.mark.parametrize("name", NAMES)
def test_every_process_has_a_service_of_its_own(name):
    command = compose()[name]["command"]
    assert command[:3] == ["serve", "--only", name]


def test_only_the_web_service_has_a_network():
    modes = {name: service["network_mode"] for name, service in compose().items()}
    assert modes.pop("api") == "host"
    assert set(modes.values()) == {"none"}


def test_all_share_data_and_runtime():
    for service in compose().values():
        assert service["volumes"][:2] == ["data:/data", "runtime:/run/her2sr"]
