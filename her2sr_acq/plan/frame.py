"""The frame of a protocol: the whole sensor as configured, or a region of it. Pure."""

from __future__ import annotations

from her2sr_acq.config import DeviceConfig
from her2sr_acq.plan.models import Protocol


def frame_shape(protocol: Protocol, config: DeviceConfig) -> tuple[int, int]:
    """Return height and width of the frames that a protocol takes."""
    roi = protocol.camera.roi
    if roi is None:
        return config.camera.height, config.camera.width
    return roi[3], roi[2]


def effective(config: DeviceConfig, protocol: Protocol) -> DeviceConfig:
    """Return the configuration with the frame of a protocol's region."""
    height, width = frame_shape(protocol, config)
    camera = config.camera.model_copy(update={"height": height, "width": width})
    return config.model_copy(update={"camera": camera})
