"""What every run needs besides its order: hardware, folders, clocks, the bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.processing import Processing
from her2sr_acq.engine.room import Room
from her2sr_acq.engine.safety import Safety
from her2sr_acq.engine.truth import TruthSource
from her2sr_acq.guard.ports import LightGuard
from her2sr_acq.plan.frame import effective
from her2sr_acq.plan.models import Protocol
from her2sr_acq.stream.blocks import U16
from her2sr_acq.stream.sink import Publish, WriteBlock
from her2sr_proc.schema.block import UnitKey
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
    show: Callable[[UnitKey, int, U16], None] = field(
        default=lambda *_: None, kw_only=True
    )
    """Offers a frame of the burst to whoever looks; never waits."""
    processing: Callable[[], Processing]
    """Makes the client that asks the localizer for one run."""
    clock: Clock
    guard: LightGuard
    safety: Safety
    room: Room
    boot: str
    """Names this boot of the host: a run does not go on by itself in another."""
    truth: TruthSource | None = None
    """Of a simulated microscope that tells its truth; None for every other."""
    runtime: Path | None = None
    """The folder of sockets, where the guard's own path to a simulated light lies."""
    write_block: WriteBlock = raw.write_block
    sensor: tuple[int, int] | None = None
    """Height and width of the whole frame, where `config` has those of a region."""

    @property
    def sensor_shape(self) -> tuple[int, int]:
        """Height and width of the whole configured frame."""
        return self.sensor or (self.config.camera.height, self.config.camera.width)

    def for_protocol(self, protocol: Protocol) -> Station:
        """Return the station as one protocol sees it: frames of its region."""
        return replace(
            self, config=effective(self.config, protocol), sensor=self.sensor_shape
        )
