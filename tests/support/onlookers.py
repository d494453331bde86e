"""An engine in this process, its microscope in another, and in that one an onlooker.

The onlooker notes light, bursts and interlock on CLOCK_MONOTONIC, which both processes
share: what happens here can be held against what was lit there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from microscopes import Bench, opened, simulated
from stations import Rig, rig

from her2sr_acq.config import DeviceConfig, load
from her2sr_acq.devices.ports import Camera, Frame, Hardware
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.errors import AcqError
from simulators.faults.options import FaultOptions
from simulators.history import LightHistory

LINES = ((561, "HER2"), (488, "CEP17"))
EXPOSURE_MS = 30.0


def plan(
    *, frames: int, lines: int = 2, places: tuple[tuple[float, float], ...] = ((0, 0),)
) -> RunRequest:
    """Return a run of one or two signal channels at some places."""
    channels = [
        {"name": str(nm), "probe": probe, "laser_nm": nm, "role": "signal"}
        | {"power_percent": 40, "exposure_ms": EXPOSURE_MS, "frames": frames}
        for nm, probe in LINES[:lines]
    ]
    body = {"name": "test", "grid": {"positions": places}, "channels": channels}
    return RunRequest.model_validate({"plan": body, "sample": "s1", "operator": "op"})


@dataclass
class TimedCamera:
    """Passes every call on; notes when the last frame came before nothing came."""

    camera: Camera
    late_s: float = 0.0
    """By so much every frame is fetched late: a reader on a crowded machine."""
    handed: int = 0
    last_frame_s: float = 0.0
    silences: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Frames handed over before -> when the last of them came, when it was given up."""

    def __getattr__(self, name: str) -> object:
        return getattr(self.camera, name)

    def next_frame(self, *, timeout_s: float) -> Frame:
        if self.late_s:
            time.sleep(self.late_s)
        try:
            frame = self.camera.next_frame(timeout_s=timeout_s)
        except AcqError:
            self.silences[self.handed] = (self.last_frame_s, time.monotonic())
            raise
        self.handed += 1
        self.last_frame_s = time.monotonic()
        return frame


@dataclass
class Laboratory:
    """A microscope, its devices, and who looks on."""

    bench: Bench
    hardware: Hardware
    config: DeviceConfig
    camera: TimedCamera
    began_s: float = 0.0

    @contextmanager
    def engine(self, data: Path, **more: object) -> Iterator[Rig]:
        """Run an engine on the microscope; afterwards it is whole and dark again."""
        self.began_s = time.monotonic()
        self.camera.handed, self.camera.late_s = 0, 0.0
        self.camera.silences.clear()
        try:
            with rig(
                data, microscope=self.hardware, config=self.config, **more
            ) as engine:
                yield engine
        finally:
            self.bench.client.heal()
            self.hardware.camera.disarm()
            self.hardware.dark()

    def inject(self, device: str, kind: str, **more: object) -> float:
        """Plan a fault; return the moment just before."""
        at_s = time.monotonic()
        fault = {"device": device, "kind": kind, **more}
        self.bench.client.inject(FaultOptions.model_validate(fault))
        return at_s

    def history(self) -> LightHistory:
        """Return what the onlooker saw since the engine was started."""
        return self.bench.client.light_history(self.began_s)

    def bursts(self) -> int:
        """Return how often the onlooker saw frames begin."""
        return sum(c.what == "burst" and c.on for c in self.history().changes)

    def was_lit(self) -> bool:
        """Return whether the onlooker saw any light."""
        return any(c.what == "light" and c.on for c in self.history().changes)


@contextmanager
def laboratory(folder: Path, *, time_scale: float) -> Iterator[Laboratory]:
    """Run a microscope of small frames and quick deadlines; open its devices here."""
    with simulated(
        folder, noise="fast", time_scale=time_scale, record_intervals=False
    ) as bench:
        data = yaml.safe_load(bench.config.read_text())
        data["camera"].update(first_frame_timeout_s=1.0, stall_timeout_s=1.0)
        data["stage"].update(timeout_s=0.3, long_travel_um=100.0)
        for laser in data["lasers"]:  # no dark pictures: here every burst is counted
            laser["sample"]["step_adu"] = None
        data["focus"].update(timeout_s=0.3, travel_z_um=-15.0)
        data["filter_wheel"].update(timeout_s=0.3)
        bench.config.write_text(yaml.safe_dump(data))
        with opened(bench.config, folder) as hardware:
            camera = TimedCamera(hardware.camera)
            hardware.camera = camera
            yield Laboratory(bench, hardware, load(bench.config), camera)
