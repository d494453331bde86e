"""One movie -> the raw frames of a unit, block by block and checksummed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.camera_noise import CameraNoise
from her2sr_proc.schema.block import BlockKey, UnitKey, block_length
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.ledger import BlockRecord, UnitRecord, UnitState
from her2sr_proc.schema.manifest import ChannelFacts
from her2sr_proc.store import raw
from her2sr_proc.store.frames import FrameSource
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter

U16 = npt.NDArray[np.uint16]

WHOLE_LENGTH = 250
"""Frames to whose next multiple a burst's length of blocks is chosen."""


@dataclass(frozen=True, slots=True)
class MovieCopy:
    """Copies one movie into the raw frames of a unit."""

    folder: RunFolder
    unit: UnitKey
    channel: ChannelFacts
    camera: CameraModel
    ledger: LineWriter
    noise: CameraNoise

    def all_of(
        self,
        source: FrameSource,
        copied: Callable[[int], None],
        utc: Callable[[], str],
    ) -> str:
        """Copy every frame; return the SHA-256 of all pixels in order."""
        started = utc()
        frames, height, width = source.shape
        length = block_length(
            frames=-(-frames // WHOLE_LENGTH) * WHOLE_LENGTH,
            height=height,
            width=width,
            exposure_ms=self.channel.exposure_ms,
        )
        path = self.folder.raw(self.unit, "ome-zarr")
        raw.create(
            path,
            raw.RawShape(frames, height, width, length),
            pixel_um=self.camera.pixel_nm / 1000.0,
            exposure_ms=self.channel.exposure_ms,
            name=self.channel.name,
        )
        digest = hashlib.sha256()
        for number, first in enumerate(range(0, frames, length)):
            adu = source.read(first, min(first + length, frames))
            digest.update(np.ascontiguousarray(adu, "<u2").data)
            self.noise.add(adu)
            self._block(path, number, first, adu, length)
            copied(first + len(adu))
        self.ledger.append(self._verdict(frames, started, utc()).model_dump_json())
        return digest.hexdigest()

    def _block(
        self, path: Path, number: int, first: int, adu: U16, length: int
    ) -> None:
        full = adu
        if len(adu) < length:
            full = np.zeros((length, *adu.shape[1:]), np.uint16)
            full[: len(adu)] = adu
        prepared = raw.prepare(path, full)
        size, sha256 = raw.write_block(path, number, prepared)
        raw.check_block(path, number, prepared)
        step_s = self.channel.exposure_ms / 1000.0
        record = BlockRecord(
            key=BlockKey(**self.unit.model_dump(), block=number),
            first_frame=first,
            frames=len(adu),
            bytes=size,
            sha256=sha256,
            t_s=tuple(round((first + n) * step_s, 6) for n in range(len(adu))),
            published=False,
        )
        self.ledger.append(record.model_dump_json())

    def _verdict(self, frames: int, started: str, ended: str) -> UnitRecord:
        wanted = self.channel.frames
        is_whole = frames == wanted
        return UnitRecord(
            key=self.unit,
            state=UnitState.COMPLETE if is_whole else UnitState.PARTIAL,
            requested=wanted,
            delivered=frames,
            written=frames,
            published=0,
            started_utc=started,
            ended_utc=ended,
            reason="" if is_whole else f"the movie holds {frames} of {wanted} frames",
        )
