"""Localization tables as files: native Parquet here, other programs' forms beside.

Knows forms and units; nothing of how a table was made.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from her2sr_proc.errors import TableError
from her2sr_proc.schema.table import COLUMNS, NAMES, Localizations
from her2sr_proc.store.atomic import replacing

_KNOWN = {column.name: column for column in COLUMNS}


def write_parquet(path: Path, table: Localizations, metadata: dict[str, str]) -> None:
    """Write the native form whole, with units by column and ``metadata`` by file."""
    arrays = {name: np.ascontiguousarray(a) for name, a in table.columns.items()}
    fields = [
        pa.field(name, pa.from_numpy_dtype(array.dtype), metadata=_column_facts(name))
        for name, array in arrays.items()
    ]
    schema = pa.schema(fields, metadata=dict(metadata))
    with replacing(path) as beside:
        pq.write_table(
            pa.Table.from_arrays([pa.array(a) for a in arrays.values()], schema=schema),
            beside,
            compression="zstd",
        )


def _column_facts(name: str) -> dict[str, str]:
    column = _KNOWN.get(name)
    return {"unit": column.unit, "meaning": column.meaning} if column else {}


def read_parquet(path: Path) -> tuple[Localizations, dict[str, str]]:
    """Return a native table and the metadata of its file.

    Raises `TableError` when the file is no Parquet, or lacks columns of the native
    table.
    """
    try:
        with pq.ParquetFile(path) as file:
            content = file.read()
    except (OSError, pa.ArrowInvalid) as exc:
        raise TableError(
            f"{path} cannot be read as Parquet ({_first_line(exc)}); "
            f"make it again with `her2sr localize`",
            path=str(path),
        ) from exc
    missing = [name for name in NAMES if name not in content.column_names]
    if missing:
        raise TableError(
            f"{path} is no localization table: it lacks {', '.join(missing)}",
            path=str(path),
        )
    metadata = {
        key.decode(): value.decode()
        for key, value in (content.schema.metadata or {}).items()
        if not key.startswith(b"ARROW:")
    }
    columns = {n: content.column(n).to_numpy() for n in content.column_names}
    return Localizations(columns), metadata


def _first_line(exc: Exception) -> str:
    return str(exc).split("\n")[0].strip()
