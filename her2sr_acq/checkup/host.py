"""What the doctor looks at besides the microscope: disk, clock, permissions, latch."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from her2sr_acq.checkup.finding import Finding
from her2sr_acq.config import DeviceConfig
from her2sr_acq.plan.foresight import free_space
from her2sr_proc.store.layout import DataFolder

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
CLOCK_PAUSE_S = 0.05
CLOCK_SLACK_S = 0.5
BURST_FRAMES = 5000


def disk(config: DeviceConfig, data: Path) -> Finding:
    """Look whether a burst fits above the low water of the data folder."""
    free = free_space(data)
    low = config.storage.low_water_mb * 1_000_000
    frame = 2 * config.camera.height * config.camera.width
    room = max(0, free - low) // frame
    said = (
        f"{free / 1e9:.1f} GB free at {data.resolve()}, room for {room} frames above "
        f"the low water of {low / 1e9:.1f} GB (a burst has up to {BURST_FRAMES})"
    )
    if room > BURST_FRAMES:
        return Finding("disk", True, said)
    return Finding("disk", False, f"{said}; offload runs or choose another data folder")


def clock() -> Finding:
    """Look whether the wall clock runs as the steady one does."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(CLOCK_PAUSE_S)
    slip = abs((time.time() - wall) - (time.monotonic() - steady))
    synchronized = (
        "synchronized" if SYNCHRONIZED.exists() else "synchronization unknown"
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if slip > CLOCK_SLACK_S:
        return Finding("clock", False, f"the wall clock jumped by {slip:.1f} s")
    return Finding("clock", True, f"{now}, {synchronized}")


def permissions(data: Path) -> Finding:
    """Look whether runs could be written there."""
    place = data.resolve()
    while not place.exists():
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Finding("permissions", True, f"{place} can be written")
    return Finding(
        "permissions", False, f"{place} cannot be written; choose another data folder"
    )


def latch(data: Path) -> Finding:
    """Look whether light is latched off, and why."""
    path = DataFolder(data).latch
    if not path.parent.is_dir() or not path.exists():
        return Finding("latch", True, "none: light is permitted")
    try:
        said = json.loads(path.read_text())
        why = f"{said['kind']}: {said['cause']} (since {said['utc']})"
    except (OSError, ValueError, LookupError, TypeError):
        why = f"{path.name} cannot be read"
    return Finding(
        "latch",
        False,
        f"{why}; look at the microscope, then take it back with `her2sr rearm`",
    )
