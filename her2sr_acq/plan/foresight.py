"""What can be said of a protocol before any process is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import ConfigError
from her2sr_acq.plan.frame import frame_shape
from her2sr_acq.plan.limits import check
from her2sr_acq.plan.models import Protocol
from her2sr_acq.plan.tiling import frame_um, tiles


def check_early(protocol: Protocol, config: DeviceConfig, *, free_bytes: int) -> None:
    """Raise `PlanRejectedError` for what can never be met on this microscope.

    Where the grid is centred on the stage's present position, which nobody knows yet,
    the middle of the stage's range stands for it: a grid that does not fit there fits
    nowhere. The engine checks again with the true position.
    """
    centre = protocol.grid.centre
    if centre == "current":
        x_um, y_um = config.stage.x_um, config.stage.y_um
        centre = (sum(x_um) / 2, sum(y_um) / 2)
        if protocol.select is not None and protocol.select.choose == "regions":
            protocol = protocol.model_copy(update={"select": None})  # they lie fast
    height, width = frame_shape(protocol, config)
    size_um = frame_um(
        height=height, width=width, pixel_nm=config.camera.model.pixel_nm
    )
    grid = tiles(protocol.grid, centre_um=centre, size_um=size_um)
    check(protocol, grid, config, free_bytes=free_bytes)


def free_space(folder: Path) -> int:
    """Return the free space where ``folder`` is, or would be made."""
    return shutil.disk_usage(_nearest(folder)).free


def require_writable(folder: Path) -> None:
    """Raise `ConfigError` when no data could be written to ``folder``."""
    place = _nearest(folder)
    if not place.is_dir():
        raise ConfigError(f"{place} is a file; choose another data folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{place} may not be written; change its permissions, or choose another "
            f"data folder"
        )


def _nearest(folder: Path) -> Path:
    """Return the folder, or what stands on the way to it."""
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    return place
