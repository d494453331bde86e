"""Microscopes behind real MMCore for tests: the simulated one and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from her2sr_acq.config import load, resolve
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.devices.registry import open_hardware
from her2sr_acq.runtime import MICROSCOPE, VARIABLE
from simulators.client import MicroscopeClient
from simulators.microscope import Microscope, read_options

SIZE = 64
START_S = 90.0
FAST = {"noise": "exact", "time_scale": 100.0}


@dataclass(frozen=True)
class Bench:
    """A simulated microscope that runs, and how to reach it."""

    config: Path
    runtime: Path
    process: subprocess.Popen[bytes] | None
    microscope: Microscope | None = None
    """One that runs in this process."""

    @property
    def client(self) -> MicroscopeClient:
        return MicroscopeClient(self.runtime)


def write_config(name: str, folder: Path, *, size: int = SIZE, **options) -> Path:
    """Write a packaged configuration with small frames; return its path."""
    packaged = resolve(name)
    data = yaml.safe_load(packaged.read_text())
    data["mmcore"]["cfg"] = str(packaged.with_suffix(".cfg"))
    data["mmcore"]["buffer_mb"] = 16
    data["camera"].update(width=size, height=size)
    if "simulator" in data:
        data["simulator"]["options"].update(height=size, width=size, **options)
    else:
        side = {"OnCameraCCDXSize": str(size), "OnCameraCCDYSize": str(size)}
        data["mmcore"]["settings"] = {"Camera": side}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@contextmanager
def simulated(folder: Path, *, size: int = SIZE, **options) -> Iterator[Bench]:
    """Run a simulated microscope as a process; ``folder`` is its runtime folder."""
    config = write_config("simulated", folder, size=size, **(FAST | options))
    command = [sys.executable, "-m", "simulators.microscope"]
    process = subprocess.Popen(
        [*command, "--config", str(config), "--runtime", str(folder)]
    )
    try:
        deadline = time.monotonic() + START_S
        while not (folder / MICROSCOPE).exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Bench(config, folder, process)
    finally:
        process.terminate()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def simulated_here(folder: Path, *, size: int = SIZE, **options) -> Iterator[Bench]:
    """Run a simulated microscope in this process, which costs no start."""
    config = write_config("simulated", folder, size=size, **(FAST | options))
    ended = threading.Event()
    with Microscope(read_options(config), folder) as microscope:
        server = threading.Thread(target=microscope.serve, args=(ended,))
        server.start()
        while not (folder / MICROSCOPE).exists():
            time.sleep(0.001)
        try:
            yield Bench(config, folder, None, microscope)
        finally:
            ended.set()
            server.join()


@contextmanager
def runtime_variable(folder: Path) -> Iterator[None]:
    """Let devices find a runtime folder while they open."""
    former = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield
    finally:
        if former is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = former


@contextmanager
def opened(config: Path, runtime: Path) -> Iterator[Hardware]:
    """Open the hardware of a configuration, and close it."""
    with runtime_variable(runtime):
        hardware = open_hardware(load(config), config)
    try:
        yield hardware
    finally:
        hardware.close()
