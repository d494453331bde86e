"""What is said over ``microscope.ipc``: the bodies of questions and answers."""

from __future__ import annotations

from pydantic import Field

from her2sr_proc.schema.model import Frozen
from simulators.faults.options import FaultyDevice, Strike


class Travel(Frozen):
    """Body of ``move_stage``."""

    x_um: float
    y_um: float


class FocusMove(Frozen):
    """Body of ``move_focus``."""

    z_um: float


class WheelTurn(Frozen):
    """Body of ``turn_wheel``; a place between two positions is where it jams."""

    place: float


class LockOrder(Frozen):
    """Body of ``lock``: what the focus lock shall do, or which plane it shall hold."""

    state: str | None = None
    offset_um: float | None = None


class Burst(Frozen):
    """Body of ``start``: what the camera wants exposed, and where it listens."""

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    frames: int = Field(gt=0)
    exposure_ms: float = Field(gt=0)
    reader: str = Field(min_length=1, max_length=64)


class BurstBegun(Frozen):
    """Answer of ``start``."""

    burst: int
    max_waiting: int = Field(description="see `CameraOptions`")


class Call(Frozen):
    """Body of ``strike``: a device is about to do something that may be faulty."""

    device: FaultyDevice
    operation: str


class Struck(Frozen):
    """Answer of ``strike``; None: the call goes well."""

    strike: Strike | None


class Healing(Frozen):
    """Body of ``heal``; None: every device."""

    device: FaultyDevice | None = None


class Since(Frozen):
    """Body of ``light_history``."""

    since_s: float = 0.0


class TruthFolder(Frozen):
    """Body of ``truth``."""

    folder: str


class LightState(Frozen):
    """One laser line."""

    nm: int
    on: bool
    percent: float
    lit_s: float = Field(description="wall seconds with light out, since the start")


class MicroscopeState(Frozen):
    """Answer of ``state``: everything an onlooker may know."""

    height: int
    width: int
    x_um: float
    y_um: float
    z_um: float
    lock_state: str = Field(description="the focus lock's own word")
    lock_offset_um: float = Field(description="of the plane it holds, from the glass")
    lock_failures: int = Field(description="times it lost its plane by chance")
    out_of_focus_um: float = Field(
        description="truth: of the plane in focus, from the middle of the section"
    )
    stage_is_moving: bool
    focus_is_moving: bool
    wheel: int = Field(description="filter in the light's path; -1: between two")
    wheel_is_moving: bool
    lights: tuple[LightState, ...]
    is_exposing: bool
    bursts: int = Field(description="bursts begun since the start")
    frames: int = Field(description="exposed in the present or last burst")
    temperature_c: float = Field(description="of the sensor")
    interlock_is_open: bool
    overflows: int = Field(description="bursts ended by a slow or dead camera")
    simulated_s: float
    fault: str = Field(description="why the camera head failed; empty: it did not")

    def is_lit(self) -> bool:
        """Whether any line is on."""
        return any(line.on for line in self.lights)
