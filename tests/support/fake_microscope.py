"""A microscope in memory that does as the ports say, or fails on purpose.

Every call is written down in order, so that a test can read when the light was on.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Frame, Reading
from her2sr_acq.errors import (
    BufferOverflowError,
    CameraStalledError,
    DeviceError,
    ReadBackError,
)

SIDE = 16
BLACK_ADU = 100
"""What frame 0 holds, so that a frame of zeros is none of the camera's."""

CONFIG = {
    "name": "fake",
    "mmcore": {"cfg": "fake.cfg"},
    "camera": {
        "label": "Camera",
        "width": SIDE,
        "height": SIDE,
        "first_frame_timeout_s": 0.1,
        "stall_timeout_s": 0.05,
        "stamp_tag": "Stamp",
    },
    "stage": {"label": "XY", "x_um": [-500.0, 500.0], "y_um": [-500.0, 500.0]},
    "focus": {"label": "Z"},
    "lasers": [
        {
            "nm": nm,
            "label": f"L{nm}",
            "enable_property": "State",
            "power_property": "Power",
            "power_full_scale": 100.0,
            "rated_mw": 100.0,
            "limit_mw": 60.0,
        }
        for nm in (405, 488, 561)
    ],
}


def make_config(**camera: object) -> DeviceConfig:
    data = dict(CONFIG)
    data["camera"] = {**CONFIG["camera"], **camera}
    return DeviceConfig.model_validate(data)


@dataclass
class Faults:
    """What goes wrong, and when; None: never."""

    stall_at: int | None = None
    overflow_at: int | None = None
    gap_at: int | None = None
    crash_at: int | None = None
    wrong_size_at: int | None = None
    stage_raises_at_move: int | None = None
    stage_raises_times: int = 1
    stage_off_um: float = 0.0
    power_reads_wrong_nm: int | None = None
    exposure_reads_wrong: bool = False
    off_fails_nm: int | None = None
    on_from_the_start_nm: int | None = None
    disarm_fails: bool = False
    lost_at: int | None = None
    """The camera's own count skips one there."""


@dataclass
class FakeCamera:
    microscope: FakeMicroscope
    pace_s: float = 0.0
    on_frame: object = None
    """Called with the index before each frame is handed over."""
    due: int = 0
    exposure_s: float = 0.0
    roi: tuple[int, int, int, int] | None = None
    readout: str | None = None
    whole: tuple[int, int] = (SIDE, SIDE)
    """Height and width of the configured frame."""
    counts: bool = False
    """Whether frames carry the camera's own count."""

    @property
    def shape(self) -> tuple[int, int]:
        return (self.roi[3], self.roi[2]) if self.roi else self.whole

    def arm(
        self,
        *,
        frames: int,
        exposure_ms: float,
        roi: tuple[int, int, int, int] | None = None,
        readout: str | None = None,
    ) -> None:
        self.roi, self.readout = roi, readout
        if self.microscope.faults.exposure_reads_wrong:
            raise ReadBackError("the camera reports 31 ms instead of 30")
        self.microscope.log.append(f"arm {frames}")
        self.due = 0
        self.exposure_s = exposure_ms / 1000.0

    def start(self) -> None:
        self.microscope.log.append("start")

    def next_frame(self, *, timeout_s: float) -> Frame:
        faults, index = self.microscope.faults, self.due
        if self.on_frame is not None:
            self.on_frame(index)
        if index == faults.stall_at:
            time.sleep(timeout_s)
            raise CameraStalledError(f"no frame in {timeout_s:.2f} s")
        if index == faults.overflow_at:
            raise BufferOverflowError("the camera's ring ran over")
        if index == faults.crash_at:
            raise RuntimeError("segment of the driver")
        if self.pace_s:
            time.sleep(self.pace_s)
        self.due += 1
        late = faults.gap_at is not None and index >= faults.gap_at
        more = 1 if index == faults.wrong_size_at else 0
        height, width = self.shape
        skipped = faults.lost_at is not None and index >= faults.lost_at
        self.microscope.lit_at_frame.append(self.microscope.is_lit)
        return Frame(
            index,
            (index + (1 if late else 0)) * self.exposure_s,
            np.full((height + more, width + more), BLACK_ADU + index, np.uint16),
            index + (1 if skipped else 0) if self.counts else None,
        )

    def disarm(self) -> None:
        self.microscope.log.append("disarm")
        if self.microscope.faults.disarm_fails:
            raise DeviceError("the camera does not stop")


@dataclass
class FakeStage:
    microscope: FakeMicroscope
    at: tuple[float, float] = (0.0, 0.0)
    moves: int = 0

    def move_to(self, *, x_um: float, y_um: float) -> None:
        self.moves += 1
        self.microscope.log.append(f"move {x_um:.2f} {y_um:.2f}")
        first = self.microscope.faults.stage_raises_at_move
        times = self.microscope.faults.stage_raises_times
        if first is not None and first <= self.moves < first + times:
            raise ReadBackError("the stage did not arrive")
        self.at = (x_um, y_um)

    def position_um(self) -> tuple[float, float]:
        return (self.at[0] + self.microscope.faults.stage_off_um, self.at[1])


@dataclass
class FakeFocus:
    z_um: float = 1.5

    def move_to(self, *, z_um: float) -> None:
        self.z_um = z_um

    def move_by(self, *, dz_um: float) -> None:
        self.z_um += dz_um

    def position_um(self) -> float:
        return self.z_um


@dataclass
class FakeLaser:
    microscope: FakeMicroscope
    nm: int
    lit: bool = False

    def set_power(self, percent: float) -> None:
        if self.microscope.faults.power_reads_wrong_nm == self.nm:
            raise ReadBackError(f"the {self.nm} nm laser reports another power")
        self.microscope.log.append(f"power {self.nm} {percent:g}")

    def on(self) -> None:
        self.lit = True
        self.microscope.log.append(f"on {self.nm}")

    def off(self) -> None:
        if self.microscope.faults.off_fails_nm == self.nm and self.lit:
            raise DeviceError(f"the {self.nm} nm laser still reports on")
        self.lit = False
        self.microscope.log.append(f"off {self.nm}")

    def is_on(self) -> bool:
        return self.lit


@dataclass
class FakeWatch:
    """A watch that says what a test lets it say."""

    name: str = "interlock"
    kind: str = "interlock"
    wait_s: float = 0.0
    says: str = ""
    looks: int = 0

    def trouble(self) -> str:
        self.looks += 1
        return self.says


@dataclass
class FakeMicroscope:
    """Satisfies `Hardware`."""

    faults: Faults = field(default_factory=Faults)
    log: list[str] = field(default_factory=list)
    lit_at_frame: list[bool] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    watches: list[FakeWatch] = field(default_factory=list)
    meter: object = None

    def __post_init__(self) -> None:
        self.camera = FakeCamera(self)
        self.stage = FakeStage(self)
        self.focus = FakeFocus()
        self.lock = None
        self.wheel = None
        self.lasers = {nm: FakeLaser(self, nm) for nm in (405, 488, 561)}
        if self.faults.on_from_the_start_nm:
            self.lasers[self.faults.on_from_the_start_nm].lit = True

    @property
    def is_lit(self) -> bool:
        return any(laser.lit for laser in self.lasers.values())

    def dark(self) -> None:
        self.log.append("dark")
        for laser in self.lasers.values():
            laser.off()

    def readings(self) -> list[Reading]:
        return [Reading("XY", "stage", "fake", {"x_um": f"{self.stage.at[0]:.1f}"})]

    def lint(self) -> list[str]:
        return []

    def close(self) -> None:
        self.closed.set()
