"""Whether offsets, stacks and activation of a plan can be had on a microscope. Pure."""

from __future__ import annotations

from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.models import Channel, Protocol


def check_beside(protocol: Protocol, config: DeviceConfig) -> None:
    """Raise `PlanRejectedError` for what is asked beside bursts and cannot be had."""
    _check_moves(protocol, config)
    for channel in protocol.channels:
        _check_activation(channel, protocol, config)


def _check_moves(protocol: Protocol, config: DeviceConfig) -> None:
    """Refuse moves along the axis that do not fit, or that the lock would undo."""
    stack = protocol.through_focus
    reach = max(abs(channel.z_offset_um) for channel in protocol.channels)
    what = "z_offset_um"
    if stack is not None:
        reach, what = reach + stack.heights_um[-1], "through_focus"
        if not any(channel.role == "signal" for channel in protocol.channels):
            raise PlanRejectedError(
                "through_focus takes its stack before signal bursts, and the protocol "
                "has none; remove it"
            )
    if reach == 0.0:
        return
    low, high = config.focus.z_um
    if 2.0 * reach > high - low:
        raise PlanRejectedError(
            f"{what} asks for {reach:g} um up and down, and the drive goes from "
            f"{low:g} to {high:g} um; ask for less"
        )
    lock = config.focus.lock
    if lock is None or protocol.focus.method != "hardware":
        return
    if not lock.chooses_plane:
        raise PlanRejectedError(
            f"{what} asks for another plane than the focus lock holds, and that plane "
            f"cannot be chosen in um; give focus.lock.offset_unit_um with "
            f"offset_property or offset_device, or focus by 'image' or 'map'"
        )
    if lock.offset_um is not None:
        least, most = lock.offset_um
        if 2.0 * reach > most - least:
            raise PlanRejectedError(
                f"{what} asks for {reach:g} um up and down, and the offset of the "
                f"focus lock goes from {least:g} to {most:g} um; ask for less"
            )


def _check_activation(
    channel: Channel, protocol: Protocol, config: DeviceConfig
) -> None:
    plan = channel.activation
    if plan is None:
        return
    if channel.role != "signal" or channel.laser_nm == plan.laser_nm:
        raise PlanRejectedError(
            f"channel {channel.name} is not one whose dyes are activated; give "
            f"'activation' to a signal channel alone",
            channel=channel.name,
        )
    dapi = [c for c in protocol.channels if c.role == "nuclei" or c.probe == "DAPI"]
    if dapi:
        raise PlanRejectedError(
            f"channel {channel.name} asks for activation by {plan.laser_nm} nm, and "
            f"the run has {dapi[0].name} ({dapi[0].probe}): violet light turns DAPI "
            f"into green blinkers that would be counted; remove 'activation' or "
            f"{dapi[0].name}",
            channel=channel.name,
        )
    lines = {laser.nm: laser for laser in config.lasers}
    laser = lines.get(plan.laser_nm)
    if laser is None:
        raise PlanRejectedError(
            f"channel {channel.name} asks for activation by {plan.laser_nm} nm, which "
            f"{config.name} does not have; remove 'activation'",
            channel=channel.name,
        )
    if plan.most_percent > laser.limit_percent:
        raise PlanRejectedError(
            f"channel {channel.name}: activation.most_percent is "
            f"{plan.most_percent:g} % of the {laser.nm} nm laser, whose limit is "
            f"{laser.limit_percent:g} %; lower it",
            channel=channel.name,
        )
