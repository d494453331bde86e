"""The manifest of a run: everything that its folder must tell without us."""

from __future__ import annotations

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.station import Station
from her2sr_acq.plan.filters import filter_of
from her2sr_acq.plan.models import Channel
from her2sr_proc.schema.calibration import RunCalibration
from her2sr_proc.schema.manifest import ChannelFacts, Manifest
from her2sr_proc.store.profiles import load_profile
from her2sr_proc.versions import SHAPING, versions

PACKAGES = (*SHAPING, "pymmcore", "pymmcore-plus")


def _facts_of(channel: Channel, config: DeviceConfig) -> ChannelFacts:
    """Return what stays of a channel, with the filter that it is seen through."""
    told = channel.model_dump(include=set(ChannelFacts.model_fields))
    seen = filter_of(channel.name, channel.laser_nm, channel.emission_filter, config)
    return ChannelFacts.model_validate(told | {"emission_filter": seen})


def manifest_of(
    order: RunOrder, station: Station, calibration: RunCalibration
) -> Manifest:
    """Return the manifest of an accepted run on a microscope."""
    config = station.config
    return Manifest(
        run=order.id,
        created_utc=order.created_utc,
        sample=order.request.sample,
        operator=order.request.operator,
        protocol=order.protocol.name,
        plan=order.protocol.model_dump(mode="json"),
        channels=tuple(
            _facts_of(channel, config) for channel in order.protocol.channels
        ),
        fields=order.tiles,
        frame_height=config.camera.height,
        frame_width=config.camera.width,
        camera=config.camera.model,
        calibration=calibration,
        profile=load_profile(order.protocol.processing.profile),
        configuration=config.name,
        configuration_sha256=station.config_sha256,
        simulation=None if config.simulator is None else config.simulator.options,
        versions=versions(PACKAGES),
    )
