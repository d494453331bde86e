"""Stage, focus and lasers of the simulated microscope as Python devices of MMCore.

They find its process through the runtime folder in ``HER2SR_RUNTIME`` and keep no
state of their own that the microscope could contradict. They connect at first use: the
core swallows what `initialize` raises, and the cause would be lost.
"""

from __future__ import annotations

import logging
from functools import cached_property, partial

from pymmcore_plus import FocusDirection
from pymmcore_plus.experimental.unicore import (
    GenericDevice,
    StageDevice,
    XYStageDevice,
)

from her2sr_acq.errors import DeviceError
from simulators.client import MicroscopeClient, runtime_of_environment
from simulators.faults.device import DeviceFaults
from simulators.lightport import PORT, LightPort
from simulators.lights import LINES_NM
from simulators.protocol import LockOrder

log = logging.getLogger(__name__)


class SimulatedXYStage(XYStageDevice):
    """The stage of the simulated microscope."""

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    @cached_property
    def _faults(self) -> DeviceFaults:
        return DeviceFaults("stage", self._client)

    def set_position_um(self, x: float, y: float) -> None:
        """Set out for a place on the slide."""
        if self._faults.lets("set position"):
            self._client.move_stage(x, y)

    def get_position_um(self) -> tuple[float, float]:
        """Return where the stage is now."""
        offset_um = self._faults.offset("position")
        state = self._client.state()
        return state.x_um + offset_um, state.y_um

    def busy(self) -> bool:
        """Return whether it moves or settles."""
        return self._faults.is_stuck() or self._client.state().stage_is_moving

    def stop(self) -> None:
        """Stay where it is now."""
        self.set_position_um(*self.get_position_um())

    def home(self) -> None:
        """Go to the middle of the slide."""
        self.set_position_um(0.0, 0.0)

    def set_origin_x(self) -> None:
        """Refuse: positions are those of the slide."""
        raise DeviceError("the simulated stage keeps the slide's origin")

    def set_origin_y(self) -> None:
        """Refuse: positions are those of the slide."""
        self.set_origin_x()


class SimulatedFocus(StageDevice):
    """The focus drive of the simulated microscope."""

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    @cached_property
    def _faults(self) -> DeviceFaults:
        return DeviceFaults("focus", self._client)

    def set_position_um(self, val: float) -> None:
        """Set out for a plane of the section."""
        if self._faults.lets("set position"):
            self._client.move_focus(val)

    def get_position_um(self) -> float:
        """Return where the focus is now."""
        return self._client.state().z_um + self._faults.offset("position")

    def busy(self) -> bool:
        """Return whether it moves or settles."""
        return self._faults.is_stuck() or self._client.state().focus_is_moving

    def get_focus_direction(self) -> FocusDirection:
        """Return that larger z is towards the objective's far side of the section."""
        return FocusDirection.TowardSample

    def set_focus_direction(self, sign: int) -> None:
        """Accept the one direction there is. Raises ValueError for another."""
        if sign != FocusDirection.TowardSample:
            raise ValueError("the simulated focus moves towards the sample")

    def stop(self) -> None:
        """Stay where it is now."""
        self.set_position_um(self.get_position_um())

    def home(self) -> None:
        """Go to the glass."""
        self.set_position_um(0.0)

    def set_origin(self) -> None:
        """Refuse: planes are those of the section."""
        raise DeviceError("the simulated focus keeps the section's origin")


class SimulatedCrisp(GenericDevice):
    """The focus lock of the simulated microscope, in the words of ASI's CRISP.

    ``CRISP State`` (set: Idle, Ready, Lock; read also: In Focus, Dim, Error) and
    ``Lock Offset`` in micrometres from the glass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_property(
            "CRISP State",
            getter=SimulatedCrisp.get_state,
            setter=SimulatedCrisp.set_state,
            property_type=str,
        )
        self.register_property(
            "Lock Offset",
            getter=SimulatedCrisp.get_offset_um,
            setter=SimulatedCrisp.set_offset_um,
            limits=(-20.0, 20.0),
            property_type=float,
        )

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    @cached_property
    def _faults(self) -> DeviceFaults:
        return DeviceFaults("lock", self._client)

    def get_state(self) -> str:
        """Return what the lock does."""
        return self._faults.reported("CRISP State", self._client.state().lock_state)

    def set_state(self, word: str) -> None:
        """Let go, make ready, or lock."""
        if self._faults.lets("set CRISP State"):
            self._client.order_lock(LockOrder(state=word))

    def get_offset_um(self) -> float:
        """Return the plane that is held."""
        offset_um = self._client.state().lock_offset_um
        return self._faults.reported("Lock Offset", offset_um)

    def set_offset_um(self, value: float) -> None:
        """Choose the plane that is held."""
        if self._faults.lets("set Lock Offset"):
            self._client.order_lock(LockOrder(offset_um=value))


class SimulatedLockOffset(StageDevice):
    """The plane that the simulated focus lock holds, as a drive of its own.

    In steps of 25 nm, downwards, as some locks count: their unit has to be measured.
    """

    UNIT_UM = -0.025

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    def set_position_um(self, val: float) -> None:
        """Choose the plane that is held, in steps."""
        self._client.order_lock(LockOrder(offset_um=val * self.UNIT_UM))

    def get_position_um(self) -> float:
        """Return the plane that is held, in steps."""
        return self._client.state().lock_offset_um / self.UNIT_UM

    def busy(self) -> bool:
        """Return that it never is: the lock settles by itself."""
        return False

    def get_focus_direction(self) -> FocusDirection:
        """Return that it is no focus drive."""
        return FocusDirection.Unknown

    def set_focus_direction(self, sign: int) -> None:
        """Refuse any other."""
        if sign != FocusDirection.Unknown:
            raise ValueError("the offset of the simulated lock is no focus drive")

    def stop(self) -> None:
        """Stay: it moves at once."""

    def home(self) -> None:
        """Refuse: it would take the lock out of its range."""
        raise DeviceError("the offset of the simulated lock has no home")

    def set_origin(self) -> None:
        """Refuse: it counts from the glass."""
        raise DeviceError("the offset of the simulated lock counts from the glass")


METER_MW = {405: 88.0, 488: 171.0, 561: 163.0}
"""What leaves the objective at 100 percent: less than the lasers are rated for."""


class SimulatedPowerMeter(GenericDevice):
    """A power meter under the simulated objective: ``Power-mW``, of all lines."""

    def __init__(self) -> None:
        super().__init__()
        self.register_property(
            "Power-mW",
            getter=SimulatedPowerMeter.get_power_mw,
            is_read_only=True,
            property_type=float,
        )

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    def get_power_mw(self) -> float:
        """Return the light of the lines that are on."""
        return sum(
            METER_MW[line.nm] * line.percent / 100.0
            for line in self._client.state().lights
            if line.on
        )


class SimulatedLasers(GenericDevice):
    """The laser combiner: three lines behind one exclusive port.

    One device, as the port is one. For each line, such as 561: ``561 Emission`` (Off,
    On), ``561 PowerPercent`` (set point), ``561 PowerReadback`` (what comes out) and
    ``561 Fault`` (0, 1). For all of them: ``Interlock`` (Closed, Open).
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_property(
            "Interlock", getter=_interlock, is_read_only=True, property_type=str
        )
        for nm in LINES_NM:
            self.register_property(
                f"{nm} Emission",
                getter=partial(_emission, nm=nm),
                setter=partial(_emit, nm=nm),
                allowed_values=("Off", "On"),
                property_type=str,
            )
            self.register_property(
                f"{nm} PowerPercent",
                getter=partial(_power, nm=nm),
                setter=partial(_set_power, nm=nm),
                limits=(0.0, 100.0),
                property_type=float,
            )
            self.register_property(
                f"{nm} PowerReadback",
                getter=partial(_output, nm=nm),
                is_read_only=True,
                property_type=float,
            )
            self.register_property(
                f"{nm} Fault",
                getter=partial(_fault, nm=nm),
                is_read_only=True,
                property_type=int,
            )

    @cached_property
    def faults(self) -> DeviceFaults:
        """What befalls commands to the lines."""
        return DeviceFaults("laser", MicroscopeClient(runtime_of_environment()))

    @cached_property
    def interlock_faults(self) -> DeviceFaults:
        """What befalls readings of the interlock."""
        return DeviceFaults("interlock", MicroscopeClient(runtime_of_environment()))

    @cached_property
    def port(self) -> LightPort:
        """The light port, taken at first use and held until `shutdown`."""
        return LightPort(runtime_of_environment() / PORT)

    def shutdown(self) -> None:
        """Shut every line and free the port."""
        port = self.__dict__.pop("port", None)
        if port is None:
            return
        try:
            port.exchange("ALL:OFF")
        except DeviceError as exc:
            log.error("the light may still be on: %s", exc)  # noqa: TRY400
        finally:
            port.close()


def _words(lasers: SimulatedLasers, nm: int) -> list[str]:
    """Return ``[ON|OFF, POW, percent, OUT, percent]``."""
    return lasers.port.exchange(f"{nm}:?").partition(":")[2].split()


def _emission(lasers: SimulatedLasers, *, nm: int) -> str:
    word = "On" if _words(lasers, nm)[0] == "ON" else "Off"
    return lasers.faults.reported(f"{nm} Emission", word)


def _emit(lasers: SimulatedLasers, value: str, *, nm: int) -> None:
    if lasers.faults.lets(f"set {nm} Emission"):
        lasers.port.exchange(f"{nm}:{value.upper()}")


def _power(lasers: SimulatedLasers, *, nm: int) -> float:
    percent = float(_words(lasers, nm)[2])
    return lasers.faults.reported(f"{nm} PowerPercent", percent)


def _set_power(lasers: SimulatedLasers, value: float, *, nm: int) -> None:
    if lasers.faults.lets(f"set {nm} PowerPercent"):
        lasers.port.exchange(f"{nm}:POW {value:.3f}")


def _output(lasers: SimulatedLasers, *, nm: int) -> float:
    percent = float(_words(lasers, nm)[4])
    return lasers.faults.reported(f"{nm} PowerReadback", percent)


def _fault(lasers: SimulatedLasers, *, nm: int) -> int:
    return int(lasers.port.exchange(f"{nm}:FAULT?").rpartition(" ")[2])


def _interlock(lasers: SimulatedLasers) -> str:
    word = lasers.port.exchange("INT:?").rpartition(":")[2].capitalize()
    return lasers.interlock_faults.reported("Interlock", word)
