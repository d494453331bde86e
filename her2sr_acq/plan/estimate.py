"""What a protocol costs in time and disk on a given microscope. Pure."""

from __future__ import annotations

from pydantic import Field

from her2sr_acq.config import DeviceConfig
from her2sr_acq.plan.frame import frame_shape
from her2sr_acq.plan.models import Channel, Protocol
from her2sr_proc.schema.model import Frozen

UNIT_OVERHEAD_S = 2.0
"""Move, arm, drain, verify: an allowance per burst, not a measurement."""

TILE_OVERHEAD_S = 1.0
"""The same for a tile of an overview."""


class Estimate(Frozen):
    """Duration and size of a run, before it starts."""

    fields: int
    units: int
    frames: int
    duration_s: float = Field(description="exposure plus an allowance per burst")
    bytes: int = Field(description="raw frames without compression")


def time_scale(config: DeviceConfig) -> float:
    """Return how much faster than the wall clock the microscope's time runs."""
    if config.simulator is None:
        return 1.0
    value = config.simulator.options.get("time_scale", 1.0)
    return float(value) if isinstance(value, int | float) and value > 0 else 1.0


def wall_exposure_ms(exposure_ms: float, config: DeviceConfig) -> float:
    """Return the time between two frames on the wall clock."""
    return exposure_ms / time_scale(config)


def stack_frames(protocol: Protocol, channel: Channel) -> int:
    """Return the pictures through the focus that come before a channel's burst."""
    stack = protocol.through_focus
    if stack is None or channel.role != "signal":
        return 0
    return stack.planes * stack.frames


def most_fields(protocol: Protocol) -> int:
    """Return how many fields are taken, as far as the protocol alone tells."""
    plan = protocol.select
    if plan is None or plan.choose not in ("random", "person"):
        return protocol.grid.size
    return min(plan.fields, protocol.grid.size)


def overview_s(protocol: Protocol, config: DeviceConfig) -> float:
    """Return the time of an overview; how long a person takes is not in it."""
    plan = protocol.select
    if plan is None or not plan.overview:
        return 0.0
    exposed_s = plan.frames * wall_exposure_ms(plan.exposure_ms, config) / 1000.0
    return protocol.grid.size * (exposed_s + TILE_OVERHEAD_S)


def field_bytes(protocol: Protocol, config: DeviceConfig) -> int:
    """Return the raw bytes of one field, without compression."""
    frames = sum(c.frames + stack_frames(protocol, c) for c in protocol.channels)
    height, width = frame_shape(protocol, config)
    return 2 * frames * height * width


def estimate(protocol: Protocol, config: DeviceConfig) -> Estimate:
    """Return what the protocol costs on this microscope."""
    fields = most_fields(protocol)
    frames = sum(channel.frames for channel in protocol.channels)
    exposed_s = sum(
        (channel.frames + stack_frames(protocol, channel))
        * wall_exposure_ms(channel.exposure_ms, config)
        / 1000.0
        for channel in protocol.channels
    )
    units = fields * len(protocol.channels)
    return Estimate(
        fields=fields,
        units=units,
        frames=fields * frames,
        duration_s=overview_s(protocol, config)
        + fields * exposed_s
        + units * UNIT_OVERHEAD_S,
        bytes=fields * field_bytes(protocol, config),
    )
