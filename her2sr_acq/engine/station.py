"""What every run needs besides its order: hardware, folders, clocks, the bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.processing import Processing
from her2sr_acq.engine.truth import TruthSource
from her2sr_acq.stream.sink import Publish, WriteBlock
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder


@dataclass(frozen=True, slots=True)
class Station:
    """One microscope and its data folder, as the engine sees them."""

    hardware: Hardware
    config: DeviceConfig
    config_sha256: str
    data: DataFolder
    database: Database
    publish: Publish
    processing: Callable[[], Processing]
    """Makes the client that asks the localizer for one run."""
    clock: Clock
    truth: TruthSource | None = None
    """Of a simulated microscope that tells its truth; None for every other."""
    write_block: WriteBlock = raw.write_block
