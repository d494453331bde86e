"""The filter wheel of the simulated microscope as a Python device of MMCore.

It finds its process as the devices of `simulators.mmdevices` do.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, cast

from pymmcore_plus.experimental.unicore import StateDevice

from her2sr_acq.errors import DeviceError
from simulators.client import MicroscopeClient, runtime_of_environment
from simulators.faults.device import DeviceFaults
from simulators.filterwheel import PASSES

if TYPE_CHECKING:
    from pymmcore import StateLabel


class SimulatedFilterWheel(StateDevice):
    """The filter wheel of the simulated microscope: ``State`` and ``Label``.

    The base class takes a wheel to be where it was sent; this one reads its place
    again, and between two filters it has no label and the state -1.
    """

    def __init__(self) -> None:
        super().__init__({number: f"State-{number}" for number in PASSES})

    def register_standard_properties(self) -> None:
        """Register state and label, each as it is read."""
        self.register_property(
            "State",
            getter=SimulatedFilterWheel.get_state,
            setter=SimulatedFilterWheel.set_state,
            allowed_values=tuple(PASSES),
            property_type=int,
        )
        self.register_property(
            "Label",
            getter=SimulatedFilterWheel.get_position_label,
            setter=SimulatedFilterWheel.set_position_label,
            allowed_values=tuple(self._state_to_label.values()),
            property_type=str,
        )

    @cached_property
    def _client(self) -> MicroscopeClient:
        return MicroscopeClient(runtime_of_environment())

    @cached_property
    def _faults(self) -> DeviceFaults:
        return DeviceFaults("wheel", self._client)

    def get_state(self) -> int:
        """Return the position in the light's path; -1: between two."""
        return int(self._faults.reported("state", self._client.state().wheel))

    def set_state(self, position: int) -> None:
        """Set out for a position."""
        if self._faults.lets("set state"):
            self._client.turn_wheel(position)
        elif self._faults.is_stuck():
            self._client.turn_wheel(max(PASSES) - 0.5)  # jammed between two

    def get_position_label(self) -> StateLabel:
        """Return the label of the position in the light's path; empty: between two."""
        return self._state_to_label.get(self.get_state(), cast("StateLabel", ""))

    def set_position_label(self, label: str) -> None:
        """Set out for the position of a label."""
        self.set_position_or_label(label)

    def set_position_or_label(self, pos_or_label: int | str) -> None:
        """Set out for a position by number or label."""
        if isinstance(pos_or_label, str):
            pos_or_label = self.get_position_for_label(pos_or_label)
        if pos_or_label not in PASSES:
            raise DeviceError(f"the wheel has no position {pos_or_label}")
        self.set_state(int(pos_or_label))

    def busy(self) -> bool:
        """Return whether it turns or settles."""
        return self._faults.is_stuck() or self._client.state().wheel_is_moving
