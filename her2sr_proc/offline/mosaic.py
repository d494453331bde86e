"""All fields of one channel of a run as one picture: where each lies, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.pyramid.frames import PLACES, Ground, frame_of
from her2sr_proc.pyramid.shelf import Frame
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.manifest import FieldFacts, Manifest
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, counted_attempts, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import count_parquet, read_parquet_parts


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The fields of one channel in the picture of all fields of the run.

    The picture covers every planned field, so that pictures of two channels lie over
    each other whatever was acquired of them.
    """

    grounds: tuple[Ground, ...]
    """Of the fields that have a table."""
    tables: tuple[Path, ...]
    height_nm: float
    width_nm: float
    left_um: float
    """Of the picture's left edge on the slide."""
    top_um: float

    @property
    def localizations(self) -> int:
        """How many the tables hold."""
        return sum(map(count_parquet, self.tables))

    def frames(self, params: RenderParams, cell_nm: float) -> list[Frame]:
        """Return the fields as frames whose tables are read when asked for."""
        return [
            frame_of(
                ground,
                partial(read_parquet_parts, table, PLACES),
                params=params,
                cell_nm=cell_nm,
                others=self.grounds,
            )
            for ground, table in zip(self.grounds, self.tables, strict=True)
        ]


def mosaic_of(run: RunFolder, channel: str) -> Mosaic:
    """Return the fields of a channel that have been localized.

    Raises `RequestError` for a channel that is not localized, `StateError` where no
    field has a table yet.
    """
    manifest = read_manifest(run)
    _require_signal(manifest, channel)
    half_um = (
        manifest.frame_height * manifest.camera.pixel_nm / 2000.0,
        manifest.frame_width * manifest.camera.pixel_nm / 2000.0,
    )
    top_um = min(field.y_um for field in manifest.fields) - half_um[0]
    left_um = min(field.x_um for field in manifest.fields) - half_um[1]
    found = _tables(run, manifest, channel)
    if not found:
        raise StateError(
            f"run {manifest.run} has no localizations of channel {channel} yet; "
            f"compute them with `her2sr process {run.root}`"
        )
    return Mosaic(
        grounds=tuple(
            Ground(
                manifest.frame_height,
                manifest.frame_width,
                manifest.camera.pixel_nm,
                top_nm=(field.y_um - half_um[0] - top_um) * 1000.0,
                left_nm=(field.x_um - half_um[1] - left_um) * 1000.0,
            )
            for field, _ in found
        ),
        tables=tuple(table for _, table in found),
        height_nm=_span_nm([f.y_um for f in manifest.fields], half_um[0]),
        width_nm=_span_nm([f.x_um for f in manifest.fields], half_um[1]),
        left_um=left_um,
        top_um=top_um,
    )


def _tables(
    run: RunFolder, manifest: Manifest, channel: str
) -> list[tuple[FieldFacts, Path]]:
    """Return the fields with a table, and that of the attempt that is counted."""
    by_field: dict[str, dict[UnitKey, UnitHistory]] = {}
    for unit, history in read_ledger(run.ledger).items():
        by_field.setdefault(unit.field, {})[unit] = history
    found = []
    for field in manifest.fields:
        units = by_field.get(field.name, {})
        key = counted_attempts(manifest, units, field.name).get(channel)
        if key is not None and run.table(key).exists():
            found.append((field, run.table(key)))
    return found


def _require_signal(manifest: Manifest, channel: str) -> None:
    known = [c.name for c in manifest.with_role("signal")]
    if channel not in known:
        raise RequestError(
            f"channel {channel} of run {manifest.run} is not localized; choose "
            f"{' or '.join(known)}"
        )


def _span_nm(centres_um: Sequence[float], half_um: float) -> float:
    return (max(centres_um) - min(centres_um) + 2 * half_um) * 1000.0
