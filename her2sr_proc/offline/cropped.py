"""A table made again from frames cut to nuclei: the spots inside the boxes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from her2sr_proc.burst import localizer_for
from her2sr_proc.errors import DataError
from her2sr_proc.localizer import Each
from her2sr_proc.offline.phases import with_phase
from her2sr_proc.offline.unit import Unit
from her2sr_proc.schema.ledger import CropRecord, DiscardRecord
from her2sr_proc.schema.table import Localizations, concatenate
from her2sr_proc.store.cropping import inside
from her2sr_proc.store.ensemble_light import KEY as LIGHT
from her2sr_proc.store.kept import read_crop


def remade_table(unit: Unit, threads: int) -> tuple[Localizations, dict[str, str]]:
    """Return the table of a unit from its crop, and the metadata of its file.

    It does not tell how many frames showed ensemble light: that was a matter of the
    whole frame. Raises `DataError` where there is no crop, for a profile that judges a
    frame by pixels that went, and where a block cannot be read.
    """
    said, crop = _cut(unit)
    with ThreadPoolExecutor(threads) as crew:
        table = localize_crop(unit, crew.map)
    whole, phase = with_phase(table, frames=said.frames, profile=unit.manifest.profile)
    phase.pop(LIGHT, None)
    metadata = phase | {
        "localized_frames": str(said.frames),
        "replayed_frames": str(said.frames),
        "profile_digest": unit.manifest.profile.digest,
        "blocks": ",".join(str(block.block) for block in said.kept),
        "field": unit.key.field,
        "channel": unit.key.channel,
        "region": f"{len(crop.boxes)} boxes around nuclei",
    }
    return whole, metadata


def localize_crop(unit: Unit, each: Each = map) -> Localizations:
    """Return the localizations inside the boxes, as the whole frames gave them.

    But for a frame whose share of blobs is near that of ensemble light (decision 22):
    it is judged by what was kept, and may be fitted as of the other kind.

    Raises `DataError` as `remade_table`.
    """
    (said, crop), profile = _cut(unit), unit.manifest.profile
    if profile.localize.detector != "matched" or profile.cleaning is not None:
        raise DataError(
            f"the profile {profile.name} judges a frame by all of its pixels, and of "
            f"{unit.key.field}/{unit.key.channel} only those around nuclei were kept; "
            f"process it with `recommended`"
        )
    localizer = localizer_for(unit.manifest, unit.key.channel, unit.camera)
    parts = [
        localizer.block(adu, first_frame=record.first_frame, each=each)
        for record, adu in read_crop(unit.run, said)
    ]
    return within(concatenate(parts), crop, unit)


def _cut(unit: Unit) -> tuple[DiscardRecord, CropRecord]:
    """Return what the ledger says of a unit that was cut to nuclei."""
    said = unit.history.discarded
    if said is None or said.crop is None:
        raise DataError(f"{unit.key.field}/{unit.key.channel} was not cut to nuclei")
    return said, said.crop


def within(table: Localizations, crop: CropRecord, unit: Unit) -> Localizations:
    """Return the rows that lie in the boxes, off their rims."""
    shape = unit.camera.offset_adu.shape
    mask = inside(crop.boxes, (shape[0], shape[1]), guard_px=crop.guard_px)
    pixel_nm = unit.manifest.camera.pixel_nm
    row, column = (
        np.rint(table[name].astype(np.float64) / pixel_nm).astype(np.int64)
        for name in ("y_nm", "x_nm")
    )
    is_there = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    is_there[is_there] = mask[row[is_there], column[is_there]]
    return table.take(is_there)
