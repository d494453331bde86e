"""What the engine may ask of a device.

Adapters satisfy these protocols by shape; they do not inherit from them. Nothing here
does I/O. Every method blocks until done or raises a `DeviceError`; none hangs for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from her2sr_acq.config import WatchKind

U16 = npt.NDArray[np.uint16]
Roi = tuple[int, int, int, int]
"""x, y, width, height in pixels of the configured frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera exposure, still in camera counts."""

    index: int
    """Position in the burst, from 0, as delivered."""
    t_s: float
    """Start of the exposure in seconds since the burst began, on the camera's clock."""
    adu: U16
    """Shape (height, width); owned by the receiver."""
    count: int | None = None
    """The camera's own count of exposures in the burst, from 0, if it gives one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device says of itself, for `doctor` and the devices page."""

    label: str
    role: str
    adapter: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a survey of a microscope says of one device, or of one use of it."""

    subject: str
    detail: str
    cure: str
    """What to do; empty: it is there."""


class Camera(Protocol):
    """A camera that streams a known number of frames."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a frame, read from the device."""
        ...

    def arm(
        self,
        *,
        frames: int,
        exposure_ms: float,
        roi: Roi | None = None,
        readout: str | None = None,
    ) -> None:
        """Set region, read-out mode and exposure, read them back, clear the ring.

        No exposure begins. `roi` None: the whole configured frame; `readout` None: the
        settings of the configuration. Raises `ReadBackError` when the camera reports
        another value.
        """
        ...

    def start(self) -> None:
        """Begin the burst that `arm` described, stopping on overflow."""
        ...

    def next_frame(self, *, timeout_s: float) -> Frame:
        """Return the next frame in order.

        Raises `CameraStalledError` when none comes in time, `BufferOverflowError` when
        the ring ran over.
        """
        ...

    def disarm(self) -> None:
        """Stop exposing. Called after every burst, also after a failed one."""
        ...


class Stage(Protocol):
    """The xy stage."""

    def move_to(self, *, x_um: float, y_um: float) -> None:
        """Move, wait, read back. Raises `ReadBackError` outside the tolerance."""
        ...

    def position_um(self) -> tuple[float, float]:
        """Return x and y as read from the device."""
        ...


class Focus(Protocol):
    """The focus drive."""

    def move_to(self, *, z_um: float) -> None:
        """Move, wait, read back. Raises `ReadBackError` outside the tolerance."""
        ...

    def move_by(self, *, dz_um: float) -> None:
        """Move relative to where it is, wait, read back; raises as `move_to`."""
        ...

    def position_um(self) -> float:
        """Return z as read from the device."""
        ...


class FocusLock(Protocol):
    """What holds the focus by itself, against drift and tilt."""

    def engage(self) -> None:
        """Lock where it is, wait, read back.

        Raises `FocusError` when it does not lock; it is released then. Locking may
        move the focus within the device's own range.
        """
        ...

    def release(self) -> None:
        """Let go; the focus stays where it is."""
        ...

    def is_locked(self) -> bool:
        """Return whether the device reports now that it holds the focus."""
        ...

    def state(self) -> str:
        """Return the device's own word for what it does."""
        ...

    def set_offset(self, um: float) -> None:
        """Choose the plane that is held, and read it back. Raises `ReadBackError`."""
        ...

    def offset_um(self) -> float:
        """Return the plane that is held, from the device's own zero."""
        ...


class FilterWheel(Protocol):
    """The wheel or turret with a filter for each colour of emission."""

    def turn_to(self, position: str) -> None:
        """Turn, wait, read back. Raises `ReadBackError` when it stands elsewhere."""
        ...

    def position(self) -> str:
        """Return the label of where it stands as read; empty: between positions."""
        ...


class Laser(Protocol):
    """One line of light."""

    @property
    def nm(self) -> int:
        """Wavelength."""
        ...

    def set_power(self, percent: float) -> None:
        """Set the power while dark and read it back. Raises `ReadBackError`."""
        ...

    def on(self) -> None:
        """Let light out; raises when the device does not report it on."""
        ...

    def off(self) -> None:
        """Shut the light; raises when the device does not report it off."""
        ...

    def is_on(self) -> bool:
        """Return what the device reports."""
        ...


class Watch(Protocol):
    """Something that must be so while there is light. Read from the safety thread."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def kind(self) -> WatchKind:
        """Interlock, fault, temperature or ready."""
        ...

    @property
    def wait_s(self) -> float:
        """How long the start of a run may wait for it."""
        ...

    def trouble(self) -> str:
        """Return what is wrong as one sentence with the cure; empty: nothing.

        A device that does not answer is in trouble, too. Takes no lock of the engine.
        """
        ...


class Meter(Protocol):
    """A power meter in the sample plane."""

    def power_mw(self) -> float:
        """Return what it reads now."""
        ...


class Hardware(Protocol):
    """Everything wired to one microscope, opened and closed together."""

    camera: Camera
    stage: Stage
    focus: Focus
    lock: FocusLock | None
    """None: nothing holds the focus by itself."""
    wheel: FilterWheel | None
    """None: every colour is seen through the same filters."""
    lasers: Mapping[int, Laser]
    """Wavelength in nm -> line."""
    watches: Sequence[Watch]
    meter: Meter | None

    def dark(self) -> None:
        """Shut every line, going on after a failure; then raise what failed."""
        ...

    def readings(self) -> list[Reading]:
        """Return what every device says of itself."""
        ...

    def lint(self) -> list[str]:
        """Return one sentence for everything wrong with the presets."""
        ...

    def close(self) -> None:
        """Shut the light, disconnect. Safe to call twice."""
        ...
