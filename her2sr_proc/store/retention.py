"""Giving up raw frames whose results are proven: the only place that removes any.

First it is shown that nothing is lost that was to be kept, then the kept frames are
written and read back, then the ledger says what will be done; only then is it done. A
crash in between leaves frames that the ledger calls discarded; doing it again removes
them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import (
    CropRecord,
    DiscardRecord,
    KeptBlock,
    UnitState,
)
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.atomic import sync_folder
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.kept import check_kept, write_crop, write_nth
from her2sr_proc.store.layout import FLUCTUATIONS, RunFolder
from her2sr_proc.store.ledger import UnitHistory, counted_attempts, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import read_parquet

U16 = npt.NDArray[np.uint16]
I32 = npt.NDArray[np.int32]
Record = Callable[[DiscardRecord], None]
"""Returns once the ledger has the line."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants frames discarded, why, when, and which of them stay."""

    by: str
    reason: str
    utc: str
    every_nth: int = 0
    """0: none stays."""
    margin_um: float = 0.0
    """Of all frames the pixels so near to nuclei stay; 0: none."""


def why_kept(
    run: RunFolder,
    manifest: Manifest,
    history: UnitHistory,
    of_field: dict[UnitKey, UnitHistory],
) -> str:
    """Return why the raw frames of a unit must stay; empty when they may go.

    They may go when the unit is complete, its table holds every frame and was made
    with the run's profile, and every image that is made of frames can be read.
    ``of_field``: the units of its field at least, by the ledger; it is not read here,
    once for every unit.
    """
    verdict, key = history.verdict, history.key
    if verdict is None or verdict.state is not UnitState.COMPLETE:
        return "it is not complete"
    if not verdict.requested == verdict.written == history.frames:
        return f"{history.frames} of {verdict.requested} frames are written"
    answering = counted_attempts(manifest, of_field, key.field)
    if answering[key.channel] != key:
        return "another attempt answers for its field"
    channel = manifest.channel(key.channel)
    is_signal = channel.role == "signal"
    kinds = ("superresolution", *FLUCTUATIONS) if is_signal else ("mean",)
    try:
        if is_signal:
            _require_table(run, manifest, history)
        for kind in ("conventional", *kinds):
            read_tiff(run.image(key.field, key.channel, kind))
    except (DataError, OSError) as exc:
        return str(exc)
    if not run.field_result(key.field).exists():
        return "its field has no result yet"
    return ""


def discard(
    run: RunFolder,
    history: UnitHistory,
    record: Record,
    order: Order,
) -> DiscardRecord:
    """Give up the raw frames of one unit; the caller has asked `why_kept`.

    Raises `IntegrityError` when frames that are to be kept cannot be read, after a
    crash too; nothing is removed then.
    """
    said = history.discarded
    if said is not None and run.raw(history.key).exists():
        fault = next(filter(None, check_kept(run, said)), "")
        if fault:
            raise IntegrityError(f"those to be kept are damaged ({fault})")
    if said is None:
        kept, crop = _kept_of(run, history, order)
        said = DiscardRecord(
            key=history.key,
            utc=order.utc,
            by=order.by,
            reason=order.reason,
            frames=history.frames,
            every_nth=order.every_nth,
            kept=kept,
            crop=crop,
        )
        record(said)
    remove_raw(run, history)
    return said


def remove_raw(run: RunFolder, history: UnitHistory) -> None:
    """Remove the frames of a unit that the ledger calls discarded."""
    for form in ("ome-zarr", "ome-tiff"):
        path = run.raw(history.key, form)
        if path.is_dir():
            # out of sight first: a half-removed array must not look like a unit
            aside = path.with_name(f".{path.name}.discarded")
            path.replace(aside)
            sync_folder(path.parent)
            shutil.rmtree(aside)
        elif path.exists():
            path.unlink()
            sync_folder(path.parent)
    for left in run.raw(history.key).parent.glob(".*.discarded"):
        shutil.rmtree(left)


def run_units(run: RunFolder) -> tuple[Manifest, dict[str, list[UnitHistory]]]:
    """Return the manifest of a run and, by field, its units that have blocks."""
    fields: dict[str, list[UnitHistory]] = {}
    for history in read_ledger(run.ledger).values():
        if history.blocks:
            fields.setdefault(history.key.field, []).append(history)
    return read_manifest(run), fields


def _require_table(run: RunFolder, manifest: Manifest, history: UnitHistory) -> None:
    path = run.table(history.key)
    _, facts = read_parquet(path)
    localized = facts.get("localized_frames")
    if localized != str(history.frames):
        raise IntegrityError(
            f"its table holds {localized or 'no'} of {history.frames} frames"
        )
    if facts.get("profile_digest") != manifest.profile.digest:
        raise IntegrityError("its table was made with another profile")


def _kept_of(
    run: RunFolder, history: UnitHistory, order: Order
) -> tuple[tuple[KeptBlock, ...], CropRecord | None]:
    if order.margin_um:
        return write_crop(run, history, order.margin_um)
    return (write_nth(run, history, order.every_nth) if order.every_nth else ()), None
