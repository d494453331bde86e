"""Whether a plan can be run on this microscope. Pure: looks, touches nothing.

A plan outside a limit is refused, never trimmed: a run that silently differs from its
protocol is worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.beside import check_beside
from her2sr_acq.plan.estimate import estimate, wall_exposure_ms
from her2sr_acq.plan.filters import filter_of
from her2sr_acq.plan.frame import effective
from her2sr_acq.plan.models import Channel, Protocol, focus_channel, overview_channel
from her2sr_acq.plan.outline import Box, Outline
from her2sr_acq.plan.select import SelectPlan
from her2sr_acq.plan.stopping import check_stop
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.manifest import FieldFacts

VIOLET_NM = 450
"""Light of a shorter wavelength than this excites DAPI."""
MAX_BURST_S = 3600.0
"""A longer burst is a typing error, and a field bleached for nothing."""
DISK_RESERVE = 1.10
"""Raw frames are taken as incompressible, and a tenth is kept for the rest."""


def check(
    protocol: Protocol,
    tiles: Sequence[FieldFacts],
    config: DeviceConfig,
    *,
    free_bytes: int,
) -> None:
    """Raise `PlanRejectedError` with cause and cure if the plan breaks a limit.

    ``config`` is that of the microscope, with its whole frame.
    """
    _check_camera(protocol, config)
    _check_order(protocol)
    _check_focus(protocol, config)
    check_stop(protocol.stop_when, tuple(tiles))
    check_beside(protocol, config)
    _check_select(protocol, tiles, config)
    for channel in protocol.channels:
        check_channel(channel, config)
    for tile in tiles:
        _check_tile(tile, config)
    _check_disk(protocol, config, free_bytes)


def check_channel(channel: Channel, config: DeviceConfig) -> None:
    """Raise `PlanRejectedError` if a burst asks for more than there is or may be."""
    _check_light(channel, config)
    filter_of(channel.name, channel.laser_nm, channel.emission_filter, config)
    _check_exposure(channel, config)


def _check_camera(protocol: Protocol, config: DeviceConfig) -> None:
    camera, plan = config.camera, protocol.camera
    if plan.readout is not None and plan.readout not in camera.readout_modes:
        known = ", ".join(sorted(camera.readout_modes)) or "none"
        raise PlanRejectedError(
            f"the protocol asks for the read-out mode '{plan.readout}', and "
            f"{config.name} has: {known}; change camera.readout",
            readout=plan.readout,
        )
    if plan.roi is None:
        return
    x, y, width, height = plan.roi
    if x + width > camera.width or y + height > camera.height:
        raise PlanRejectedError(
            f"the protocol asks for a region of {width} x {height} pixels at {x}, "
            f"{y}, and the frame has {camera.width} x {camera.height}; change "
            f"camera.roi",
            roi=plan.roi,
        )


def _check_order(protocol: Protocol) -> None:
    """Refuse light that spoils a signal before its burst.

    Violet turns DAPI into something that blinks green, and a shorter wavelength
    bleaches the dye of a longer one.
    """
    signals = [n for n, c in enumerate(protocol.channels) if c.role == "signal"]
    for n, m in pairwise(signals):
        first, second = protocol.channels[n], protocol.channels[m]
        if first.laser_nm < second.laser_nm:
            raise PlanRejectedError(
                f"channel {first.name} ({first.laser_nm} nm) comes before "
                f"{second.name} ({second.laser_nm} nm): its light bleaches the dye of "
                f"the longer wavelength before that one's burst; take {second.name} "
                f"first",
                channel=first.name,
            )
    for n, channel in enumerate(protocol.channels):
        if channel.laser_nm < VIOLET_NM and signals and n < signals[-1]:
            after = protocol.channels[signals[-1]].name
            raise PlanRejectedError(
                f"channel {channel.name} ({channel.laser_nm} nm) comes before the "
                f"signals of {after}: violet light turns DAPI into green blinkers that "
                f"would be counted; take it last",
                channel=channel.name,
            )


def _check_focus(protocol: Protocol, config: DeviceConfig) -> None:
    plan = protocol.focus
    if plan.method == "hardware" and config.focus.lock is None:
        raise PlanRejectedError(
            f"the protocol asks for focus by hardware, and {config.name} has no "
            f"focus lock; add focus.lock to its configuration, or choose 'image' or "
            f"'map'"
        )
    if not plan.takes_pictures:
        return
    if plan.laser_nm < VIOLET_NM:
        raise PlanRejectedError(
            f"the protocol focuses by {plan.laser_nm} nm, which spoils the signals; "
            f"set focus.laser_nm to the longest wavelength"
        )
    check_channel(focus_channel(plan), config)


def _check_select(
    protocol: Protocol, tiles: Sequence[FieldFacts], config: DeviceConfig
) -> None:
    plan = protocol.select
    if plan is None:
        return
    if plan.overview:
        if plan.laser_nm < VIOLET_NM:
            raise PlanRejectedError(
                f"the overview asks for {plan.laser_nm} nm, which spoils the signals; "
                f"set select.laser_nm to the longest wavelength"
            )
        check_channel(overview_channel(plan), config)
    for outline in plan.outlines():
        _check_outline(outline, config)
    if plan.choose == "regions" and not overlapped(plan, tiles, protocol, config):
        raise PlanRejectedError(
            "the regions overlap no tile of the grid; move grid.centre, take more rows "
            "and columns, or give regions in micrometres of the stage"
        )


def _check_outline(outline: Outline, config: DeviceConfig) -> None:
    cure = "give regions in micrometres of the stage, inside its travel"
    for x_um, y_um in outline.corners():
        check_position(f"a corner of {outline.name}", x_um, y_um, config, cure=cure)


def overlapped(
    plan: SelectPlan,
    tiles: Sequence[FieldFacts],
    protocol: Protocol,
    config: DeviceConfig,
) -> tuple[FieldFacts, ...]:
    """Return the tiles that an area of the plan overlaps, in their order."""
    camera = effective(config, protocol).camera
    size_um = frame_um(
        height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
    )
    outlines = plan.outlines()
    return tuple(
        tile
        for tile in tiles
        if any(
            outline.covered_um2(Box.around(tile.x_um, tile.y_um, size_um)) > 0.0
            for outline in outlines
        )
    )


def _check_light(channel: Channel, config: DeviceConfig) -> None:
    lines = {laser.nm: laser for laser in config.lasers}
    laser = lines.get(channel.laser_nm)
    if laser is None:
        known = ", ".join(str(nm) for nm in sorted(lines))
        raise PlanRejectedError(
            f"channel {channel.name} asks for a laser of {channel.laser_nm} nm, which "
            f"{config.name} does not have; choose one of {known}",
            channel=channel.name,
        )
    if channel.power_percent > laser.limit_percent:
        raise PlanRejectedError(
            f"channel {channel.name} asks for {channel.power_percent:g} % of the "
            f"{laser.nm} nm laser ({channel.power_percent / 100 * laser.rated_mw:g} "
            f"mW), whose limit is {laser.limit_percent:g} % ({laser.limit_mw:g} mW); "
            f"lower power_percent",
            channel=channel.name,
            limit_percent=laser.limit_percent,
        )


def _check_exposure(channel: Channel, config: DeviceConfig) -> None:
    low, high = config.camera.exposure_ms
    if not low <= channel.exposure_ms <= high:
        raise PlanRejectedError(
            f"channel {channel.name} asks for an exposure of {channel.exposure_ms:g} "
            f"ms, and the camera takes {low:g} to {high:g} ms; change exposure_ms",
            channel=channel.name,
        )
    burst_s = channel.frames * wall_exposure_ms(channel.exposure_ms, config) / 1000.0
    if burst_s > MAX_BURST_S:
        raise PlanRejectedError(
            f"channel {channel.name} would be lit for {burst_s:.0f} s in every field, "
            f"and the limit is {MAX_BURST_S:.0f} s; lower frames or exposure_ms",
            channel=channel.name,
        )


def _check_tile(tile: FieldFacts, config: DeviceConfig) -> None:
    cure = "move grid.centre, or take fewer rows and columns"
    check_position(f"tile {tile.name}", tile.x_um, tile.y_um, config, cure=cure)


def check_position(
    what: str, x_um: float, y_um: float, config: DeviceConfig, *, cure: str = ""
) -> None:
    """Raise `PlanRejectedError` for a place that the stage does not go to."""
    limits = {"x": config.stage.x_um, "y": config.stage.y_um}
    for axis, (low, high) in limits.items():
        value = x_um if axis == "x" else y_um
        if not low <= value <= high:
            raise PlanRejectedError(
                f"{what} would be at {axis} = {value:.1f} um, and the stage goes from "
                f"{low:g} to {high:g} um; {cure or 'choose one between them'}",
                place=what,
            )


def _check_disk(protocol: Protocol, config: DeviceConfig, free_bytes: int) -> None:
    needed = round(DISK_RESERVE * estimate(protocol, effective(config, protocol)).bytes)
    if needed > free_bytes:
        raise PlanRejectedError(
            f"the run needs {_size(needed)} and {_size(free_bytes)} are free; delete "
            f"or offload runs, or choose another data folder",
            needed_bytes=needed,
            free_bytes=free_bytes,
        )


def _size(count: int) -> str:
    """Return a number of bytes in a unit that shows a difference."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
