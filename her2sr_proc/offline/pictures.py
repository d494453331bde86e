"""Images of one unit: mean frames, super-resolution, and where light fluctuates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from her2sr_proc.camera_noise import CameraNoise
from her2sr_proc.errors import DataError
from her2sr_proc.fluctuation import Fluctuations
from her2sr_proc.offline.unit import Unit
from her2sr_proc.rendering import render
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.atomic import sync_folder
from her2sr_proc.store.images import Colour, PreviewStyle, write_preview, write_tiff
from her2sr_proc.store.layout import FLUCTUATIONS
from her2sr_proc.store.noise import write_noise
from her2sr_proc.store.tables import read_parquet

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

PREVIEW_COLOURS: dict[str, Colour] = {"HER2": "red", "CEP17": "green", "DAPI": "blue"}
DENSE = PreviewStyle(gamma=0.7)
SPARSE = PreviewStyle(gamma=0.4, high_percentile=97.0, longest_px=1024)
"""Signals of a few pixels that differ a thousandfold in brightness must all be seen."""


def drop_images(unit: Unit) -> None:
    """Remove the images that `ensure_images` can make anew, and no other.

    To be called just before the unit's table is replaced. Whoever dies between the
    table and its images leaves none, so that they are made by the next who asks; images
    of another table would be taken for those of this one.
    """
    where, means = (unit.key.field, unit.key.channel), _means(unit)
    folder = unit.run.noise(*where).parent
    if not any(folder.glob(f"{unit.key.channel}_*")):
        return
    stale = ["superresolution"]
    first = next((record.first_frame for record, _ in _readable_blocks(unit)), None)
    if first is not None:
        unit.run.noise(*where).unlink(missing_ok=True)
        stale += FLUCTUATIONS
        stale += [kind for kind, frames in means.items() if first < frames]
    for kind in stale:
        # the TIFF first: it tells that both stand
        unit.run.image(*where, kind).unlink(missing_ok=True)
        unit.run.preview(*where, kind).unlink(missing_ok=True)
    sync_folder(folder)  # a power cut must not bring them back beside the new table


def ensure_images(unit: Unit, *, is_new: bool) -> None:
    """Write the images that are missing, or all when the unit's frames are others."""
    for kind, frames in _means(unit).items():
        if is_new or not _exists(unit, kind):
            with unit.watch.step("mean images"):
                mean = mean_frame(unit, frames)
            if mean is not None:
                _write_picture(unit, kind, mean, unit.manifest.camera.pixel_nm)
    if not unit.is_signal:
        return
    if is_new or not _exists(unit, "superresolution"):
        with unit.watch.step("render"):
            _write_superresolution(unit)
    if is_new or not _has_fluctuations(unit):
        with unit.watch.step("fluctuations"):
            _write_fluctuations(unit)


def _means(unit: Unit) -> dict[str, int]:
    """Return the kinds of mean pictures, and of how many frames each is."""
    means = {"conventional": unit.manifest.profile.count.conventional_frames}
    if not unit.is_signal:
        means["mean"] = unit.manifest.channel(unit.key.channel).frames
    return means


def has_images(unit: Unit) -> bool:
    """Return whether every image is there that `ensure_images` writes."""
    kinds = ["conventional"]
    kinds.append("superresolution" if unit.is_signal else "mean")
    is_seen = _has_fluctuations(unit) or not unit.is_signal
    return is_seen and all(_exists(unit, kind) for kind in kinds)


def mean_frame(unit: Unit, frames: int) -> F32 | None:
    """Return the mean of the burst's first ``frames`` frames, in photo-electrons.

    None when no block of them can be read. Shape (height, width).
    """
    total: F64 = np.zeros(unit.camera.offset_adu.shape, np.float64)
    count = 0
    for record, block in _readable_blocks(unit):
        if record.first_frame >= frames:
            break
        adu = block[: frames - record.first_frame]
        total += adu.sum(axis=0, dtype=np.float64)
        count += len(adu)
    if count == 0:
        return None
    mean = (total / count - unit.camera.offset_adu) * unit.camera.e_per_adu
    return mean.astype(np.float32)


def _readable_blocks(unit: Unit) -> Iterator[tuple[BlockRecord, raw.U16]]:
    """Yield blocks and their frames, which the next one overwrites."""
    room = raw.BlockRoom()
    for record in unit.records():
        try:
            adu = raw.read_block(unit.run.raw(unit.key), record, room)
        except DataError:  # reported where the block is counted
            continue
        yield record, adu


def _write_fluctuations(unit: Unit) -> None:
    """Write the excess variance of the whole burst at both scales of the counter.

    In the same pass, how much of a camera's noise the frames carry.
    """
    pixel_nm = unit.manifest.camera.pixel_nm
    params = unit.manifest.profile.count
    scales = [
        Fluctuations(unit.camera, smooth_nm / pixel_nm)
        for smooth_nm in (params.fine_nm, params.coarse_nm)
    ]
    noise = CameraNoise(unit.camera)
    for record, adu in _readable_blocks(unit):
        noise.add(adu)
        for scale in scales:
            scale.add(adu, first_frame=record.first_frame)
    facts = noise.facts()
    if facts.pairs:
        write_noise(unit.run, unit.key.field, unit.key.channel, facts)
    for kind, scale in zip(FLUCTUATIONS, scales, strict=True):
        image = scale.image()
        if image is not None:
            path = unit.run.image(unit.key.field, unit.key.channel, kind)
            write_tiff(path, image, pixel_nm=pixel_nm)


def _write_superresolution(unit: Unit) -> None:
    table, _ = read_parquet(unit.run.table(unit.key))
    params = unit.manifest.profile.render
    image = render(
        table,
        height_px=unit.manifest.frame_height,
        width_px=unit.manifest.frame_width,
        pixel_nm=unit.manifest.camera.pixel_nm,
        params=params,
    )
    _write_picture(unit, "superresolution", image, params.pixel_nm)


def _write_picture(unit: Unit, kind: str, image: F32, pixel_nm: float) -> None:
    """Write an image as a PNG for people, then as TIFF, which tells that both stand."""
    where = (unit.key.field, unit.key.channel, kind)
    probe = unit.manifest.channel(unit.key.channel).probe
    look = SPARSE if kind == "superresolution" else DENSE
    style = replace(look, colour=PREVIEW_COLOURS.get(probe, "grey"), pixel_nm=pixel_nm)
    write_preview(unit.run.preview(*where), image, style)
    write_tiff(unit.run.image(*where), image, pixel_nm=pixel_nm)


def _has_fluctuations(unit: Unit) -> bool:
    kept = unit.run.noise(unit.key.field, unit.key.channel).exists()
    return kept and all(_exists(unit, kind) for kind in FLUCTUATIONS)


def _exists(unit: Unit, kind: str) -> bool:
    return unit.run.image(unit.key.field, unit.key.channel, kind).exists()
