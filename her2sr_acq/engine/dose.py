"""The dose ledger: how much light every place had in a run, by line and purpose.

A place is a frame; the light of a frame falls on its neighbours where the beam is wider
than the frame or the frames overlap, and is counted there by the share of their area.
Doses are seconds of a line's full power.
"""

from __future__ import annotations

import os
from pathlib import Path

from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import DoseError, StorageError
from her2sr_acq.plan.models import Channel
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.dose import DOSE_LINE, DoseRecord
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.lines import numbered_lines

Place = tuple[float, float]


class DoseBook:
    """Adds up and writes down. Used by the engine's thread alone."""

    def __init__(self, config: DeviceConfig, path: Path | None) -> None:
        """Read what was written before a restart; None: kept in memory alone.

        ``config`` is that of the protocol, with its region's frame.
        """
        camera = config.camera
        self._size_um = frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
        self._config = config
        self._path = path
        self._doses: dict[tuple[Place, int], float] = {}
        if path is not None and path.exists():
            for _, line in numbered_lines(path):
                self._count(DOSE_LINE.validate_json(line))

    def light_s(self, channel: Channel, *, frames: int, lit_s: float) -> float:
        """Return the seconds of light on the sample in a burst of ``channel``."""
        if self._config.laser(channel.laser_nm).sample.is_gated:
            return frames * channel.exposure_ms / 1000.0
        return lit_s

    def add(self, record: DoseRecord) -> None:
        """Write an exposure down, durably. Raises `StorageError`."""
        self._count(record)
        if self._path is None:
            return
        try:
            with self._path.open("ab") as file:
                file.write(record.model_dump_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            raise StorageError(
                f"{self._path.name} cannot be written: {exc.strerror}; free or check "
                f"the disk of the data folder",
                errno=exc.errno,
            ) from exc

    def at(self, x_um: float, y_um: float, nm: int) -> float:
        """Return the dose of the frame around a place, its neighbours' share too."""
        return sum(
            dose * self._share(place, (x_um, y_um), nm)
            for (place, line), dose in self._doses.items()
            if line == nm
        )

    def require(self, tile: FieldFacts, channel: Channel) -> None:
        """Raise `DoseError` if a burst would take its place above the ceiling."""
        ceiling_s = self._config.laser(channel.laser_nm).sample.ceiling_s
        if ceiling_s is None:
            return
        burst_s = channel.frames * channel.exposure_ms / 1000.0
        more = burst_s * channel.power_percent / 100.0
        had = self.at(tile.x_um, tile.y_um, channel.laser_nm)
        if had + more > ceiling_s:
            raise DoseError(
                f"{tile.name} has had {had:.2f} s of full power at "
                f"{channel.laser_nm} nm, {more:.2f} s more were asked for, and "
                f"{ceiling_s:g} s is the most; take a fresh field, or lower frames or "
                f"power_percent"
            )

    def _count(self, record: DoseRecord) -> None:
        key = ((record.x_um, record.y_um), record.nm)
        self._doses[key] = self._doses.get(key, 0.0) + record.full_power_s

    def _share(self, lit: Place, place: Place, nm: int) -> float:
        """Return how much of the frame at a place the light of another covers."""
        margin = self._config.laser(nm).sample.beam_margin_um
        height, width = self._size_um
        share = 1.0
        for size, away in ((width, lit[0] - place[0]), (height, lit[1] - place[1])):
            low = max(-size / 2.0, away - size / 2.0 - margin)
            high = min(size / 2.0, away + size / 2.0 + margin)
            share *= max(0.0, high - low) / size
        return share
