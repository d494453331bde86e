"""Which filter of the wheel a channel is seen through. Pure."""

from __future__ import annotations

from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import PlanRejectedError


def filter_of(name: str, nm: int, wanted: str, config: DeviceConfig) -> str:
    """Return the label of the wheel's position for a channel; empty: no wheel.

    Parameters
    ----------
    name : str
        Of the channel, for what is said of it.
    nm : int
        Its laser line.
    wanted : str
        The position that the channel itself names; empty: that of its line.
    config : DeviceConfig
        The microscope.

    Raises
    ------
    PlanRejectedError
        There is no such position, or none for the line.
    """
    wheel = config.filter_wheel
    if wheel is None:
        if wanted:
            raise PlanRejectedError(
                f"channel {name} asks for the filter '{wanted}', and {config.name} has "
                f"no filter wheel; remove emission_filter, or add filter_wheel to the "
                f"configuration",
                channel=name,
            )
        return ""
    if wanted:
        if wanted not in wheel.labels:
            raise PlanRejectedError(
                f"channel {name} asks for the filter '{wanted}', and {wheel.label} has "
                f"{', '.join(wheel.labels)}; change emission_filter, or add it to "
                f"filter_wheel.also",
                channel=name,
            )
        return wanted
    if nm not in wheel.lines:
        raise PlanRejectedError(
            f"channel {name} has no position of the filter wheel {wheel.label}; give "
            f"{nm} nm one under filter_wheel.lines, or the channel an emission_filter",
            channel=name,
        )
    return wheel.lines[nm]
