"""A run for other programs: counts as Parquet, nuclei as OME-Zarr labels.

Counts as CSV and outlines as GeoJSON (QuPath) are written with every answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from her2sr_proc.errors import DataError
from her2sr_proc.offline.runs import read_fields
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.counts import PROBES, FieldResult
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import ARMS
from her2sr_proc.store.atomic import replacing
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.ngff_labels import write_labels
from her2sr_proc.store.results import count_columns, count_rows

_UNITS = {"x_um": "um on the slide", "y_um": "um on the slide", "area_um2": "um2"}


def export_run(run: RunFolder) -> tuple[Path, ...]:
    """Write every export of a counted run; return what there is, old ones replaced.

    A field without an image of nuclei has no labels. Raises `StateError` for a folder
    that is no run, `WriteError` for what cannot be written.
    """
    manifest = read_manifest(run)
    fields = read_fields(run, manifest)
    written = [run.counts, run.nuclei_geojson]
    table = run.exports / "counts.parquet"
    write_counts_parquet(table, (result for _, result in fields))
    written.append(table)
    half = np.array([manifest.frame_height - 1, manifest.frame_width - 1]) / 2
    pixel_um = manifest.camera.pixel_nm / 1000.0
    for facts, result in fields:
        try:
            labels = np.asarray(read_tiff(run.labels(facts.name)), np.int32)
            image = np.asarray(read_tiff(_dapi(run, manifest, facts.name)), np.float32)
        except DataError:  # no DAPI in this field: flagged in the result
            continue
        path = run.exports / f"{facts.name}_nuclei.ome.zarr"
        first = np.array([facts.y_um, facts.x_um]) - half * pixel_um
        write_labels(
            path,
            labels,
            image,
            result.nuclei,
            pixel_um=pixel_um,
            first_um=(float(first[0]), float(first[1])),
        )
        written.append(path)
    return tuple(path for path in written if path.exists())


def write_counts_parquet(path: Path, fields: Iterable[FieldResult]) -> None:
    """Write the rows of ``counts.csv`` as Parquet, with types and units."""
    write_rows_parquet(path, list(count_rows(fields)))


def write_rows_parquet(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows with the columns of ``counts.csv``; what a row lacks is unknown."""
    schema = _schema()
    columns = {
        field.name: pa.array(
            [_cell(row.get(field.name), field) for row in rows], type=field.type
        )
        for field in schema
    }
    with replacing(path) as beside:
        pq.write_table(pa.table(columns, schema=schema), beside, compression="zstd")


def _dapi(run: RunFolder, manifest: Manifest, field: str) -> Path:
    for channel in manifest.with_role("nuclei"):
        return run.image(field, channel.name, "mean")
    raise DataError("the run has no channel of nuclei")


def _schema() -> pa.Schema:
    fields = [_field(name) for name in count_columns()]
    return pa.schema(fields, metadata={"banner": BANNER, "table": "her2sr counts"})


def _field(name: str) -> pa.Field:
    counts = {f"{p.lower()}_{arm}" for p in PROBES for arm in ARMS}
    stem, _, suffix = name.rpartition("_")
    if name in ("x_um", "y_um", "area_um2", "quality"):
        kind = pa.float64()
    elif (
        name == "nucleus"
        or name in counts
        or (stem in counts and suffix in ("low", "high"))
    ):
        kind = pa.int32()
    elif name == "excluded" or (
        stem in counts and suffix in ("ambiguous", "estimated")
    ):
        kind = pa.bool_()
    else:
        kind = pa.string()
    unit = {"unit": _UNITS[name]} if name in _UNITS else None
    return pa.field(name, kind, metadata=unit)


def _cell(value: object, field: pa.Field) -> object:
    """Return a cell of the CSV as its column's type; absent counts stay unknown."""
    if value is None:
        return None
    if pa.types.is_boolean(field.type):
        return value in (True, "true")
    if pa.types.is_integer(field.type):
        return int(str(value))
    return float(str(value)) if pa.types.is_floating(field.type) else str(value)
