"""Puts the filter of a burst into the light's path, in the dark, and asks again after.

A wheel that fails would fail at the next burst too, so its faults hold the run.
"""

from __future__ import annotations

import logging

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import FilterWheel
from her2sr_acq.engine.outcome import Light
from her2sr_acq.errors import DeviceError, DeviceTimeoutError, FilterWheelError
from her2sr_acq.plan.filters import filter_of
from her2sr_acq.plan.models import Channel

log = logging.getLogger(__name__)

BACKOFF_S = 0.5
"""Before the second attempt: nothing was lit, so that one more costs no dye."""


class Filters:
    """The filters of one microscope. Owned by the engine's thread."""

    def __init__(
        self, wheel: FilterWheel | None, config: DeviceConfig, *, light: Light
    ) -> None:
        """``wheel`` None: there is none, and nothing is done."""
        self._wheel = wheel
        self._config = config
        self._light = light

    def insert(self, channel: Channel) -> str:
        """Turn the wheel to the channel's filter; return its label, empty: no wheel.

        Tries once more after a fault, but for a wheel that did not arrive in its time.
        Raises `FilterWheelError` when the filter is not proven there, and what forbids
        light. To be called in the dark.
        """
        wanted = filter_of(
            channel.name, channel.laser_nm, channel.emission_filter, self._config
        )
        if self._wheel is None:
            return wanted
        try:
            self._wheel.turn_to(wanted)
        except DeviceTimeoutError as exc:
            raise FilterWheelError(
                f"the filter of {channel.name} did not arrive in time ({exc}); nothing "
                f"was lit: free the filter wheel, then resume; if it is as slow as "
                f"this, stop the run and raise filter_wheel.timeout_s"
            ) from exc
        except DeviceError as exc:
            log.warning("the filter wheel failed and is asked once more: %s", exc)
            self._light.guard.pulse()
            self._light.reins.rest(BACKOFF_S)
            self._light.require()
            self._again(self._wheel, wanted, channel)
        return wanted

    def require_still(self, wanted: str, channel: Channel) -> None:
        """Raise `FilterWheelError` unless the filter of a burst is there after it."""
        if self._wheel is None:
            return
        try:
            found = self._wheel.position()
        except DeviceError as exc:
            raise FilterWheelError(
                f"the filter wheel could not be read after the burst of "
                f"{channel.name} ({exc}); check it, then resume"
            ) from exc
        if not found:
            raise FilterWheelError(
                f"the filter wheel was at '{wanted}' before the burst of "
                f"{channel.name} and stands between two positions after it; check it, "
                f"then resume"
            )
        if found != wanted:
            raise FilterWheelError(
                f"the filter wheel was at '{wanted}' before the burst of "
                f"{channel.name} and reads '{found}' after it; check it, then resume"
            )

    def _again(self, wheel: FilterWheel, wanted: str, channel: Channel) -> None:
        try:
            wheel.turn_to(wanted)
        except DeviceError as exc:
            raise _absent(channel, exc) from exc


def _absent(channel: Channel, exc: DeviceError) -> FilterWheelError:
    return FilterWheelError(
        f"the filter of {channel.name} is not in the light's path ({exc}); nothing was "
        f"lit: mend the filter wheel, then resume"
    )
