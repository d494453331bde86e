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
from simulators.lightport import PORT, LightPort
from simulators.lights import LINES_NM

log = logging.getLogger(__name__)


class SimulatedXYStage(XYStageDevice):
    """The stage of the simulated microscope."""

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    def set_position_um(self, x: float, y: float) -> None:
        """Set out for a place on the slide."""
        self._client.move_stage(x, y)

    def get_position_um(self) -> tuple[float, float]:
        """Return where the stage is now."""
        state = self._client.state()
        return state.x_um, state.y_um

    def busy(self) -> bool:
        """Return whether it moves or settles."""
        return self._client.state().stage_is_moving

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

    def set_position_um(self, val: float) -> None:
        """Set out for a plane of the section."""
        self._client.move_focus(val)

    def get_position_um(self) -> float:
        """Return where the focus is now."""
        return self._client.state().z_um

    def busy(self) -> bool:
        """Return whether it moves or settles."""
        return self._client.state().focus_is_moving

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


class SimulatedLasers(GenericDevice):
    """The laser combiner: three lines behind one exclusive port.

    One device, as the port is one. For each line, such as 561: ``561 Emission`` (Off,
    On), ``561 PowerPercent`` (set point) and ``561 PowerReadback`` (what comes out).
    """

    def __init__(self) -> None:
        super().__init__()
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
    return "On" if _words(lasers, nm)[0] == "ON" else "Off"


def _emit(lasers: SimulatedLasers, value: str, *, nm: int) -> None:
    lasers.port.exchange(f"{nm}:{value.upper()}")


def _power(lasers: SimulatedLasers, *, nm: int) -> float:
    return float(_words(lasers, nm)[2])


def _set_power(lasers: SimulatedLasers, value: float, *, nm: int) -> None:
    lasers.port.exchange(f"{nm}:POW {value:.3f}")


def _output(lasers: SimulatedLasers, *, nm: int) -> float:
    return float(_words(lasers, nm)[4])
