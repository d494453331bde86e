"""Why a guard is needed: a controller that is killed leaves the light on."""

import signal
import subprocess
import sys

import pytest
from microscopes import simulated
from short import short_folder

from her2sr_acq.runtime import VARIABLE
from simulators.client import MicroscopeClient
from simulators.lightport import PORT, LightPort

CONTROLLER = """
import sys, time
from pathlib import Path
from her2sr_acq.config import load
from her2sr_acq.devices.registry import open_hardware
config = Path(sys.argv[1])
hardware = open_hardware(load(config), config)
hardware.lasers[561].set_power(40.0)
hardware.camera.arm(frames=1_000_000, exposure_ms=10.0)
hardware.lasers[561].on()
hardware.camera.start()
hardware.camera.next_frame(timeout_s=20.0)
print("lit", flush=True)
time.sleep(60.0)
"""


@pytest.fixture(scope="module")
def bench():
    with short_folder() as folder, simulated(folder) as bench:
        yield bench


@pytest.fixture
def killed(bench, monkeypatch):
    """A microscope whose controller was killed in a burst."""
    monkeypatch.setenv(VARIABLE, str(bench.runtime))
    command = [sys.executable, "-c", CONTROLLER, str(bench.config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as controller:
        try:
            assert controller.stdout.readline() == b"lit\n"
        finally:
            controller.send_signal(signal.SIGKILL)
    return bench


def lit(client: MicroscopeClient) -> set[int]:
    return {line.nm for line in client.state().lights if line.on}


def test_a_killed_controller_leaves_the_light_on_and_the_port_free(killed):
    before = killed.client.state()
    assert lit(killed.client) == {561}
    with LightPort(killed.runtime / PORT) as port:
        assert port.exchange("ALL:OFF") == "OK ALL:OFF"
    after = killed.client.state()
    assert not after.is_lit()
    assert after.lights[2].lit_s > before.lights[2].lit_s > 0.0
