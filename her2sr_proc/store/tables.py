"""Localization tables as files: native Parquet here, other programs' forms beside.

Knows forms and units; nothing of how a table was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from her2sr_proc.errors import RequestError, TableError
from her2sr_proc.schema.table import (
    COLUMNS,
    FURTHER,
    ORIGIN,
    Localizations,
    concatenate,
)
from her2sr_proc.store.atomic import replacing, require_writable
from her2sr_proc.store.columns import as_table, require_names, require_numbers
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.picasso import read_picasso, require_free_yaml, write_picasso
from her2sr_proc.store.thunderstorm import (
    read_csv_columns,
    read_thunderstorm,
    write_thunderstorm,
)

TableForm = Literal["thunderstorm", "picasso", "native"]
FORMS: dict[TableForm, tuple[str, ...]] = {
    "thunderstorm": (".csv",),
    "picasso": (".hdf5",),
    "native": (".parquet", ".csv"),
}
"""The suffixes of a form; the first one stands for it."""
ROWS_TOGETHER = 2**18
"""Of a table that is written from parts."""
WORDS = [column.name for column in ORIGIN]
"""Columns of few values. Lists of the values of all others, which Parquet writes unless
told otherwise, made a file twice as large and took half of the time of writing it."""
_KNOWN = {column.name: column for column in (*COLUMNS, *ORIGIN, *FURTHER)}


def write_parquet(path: Path, table: Localizations, metadata: dict[str, str]) -> None:
    """Write the native form whole, with units by column and ``metadata`` by file."""
    with replacing(path) as beside:
        pq.write_table(
            _arrow(table, metadata), beside, compression="zstd", use_dictionary=WORDS
        )


def write_parquet_parts(
    path: Path,
    parts: Iterator[Localizations],
    metadata: dict[str, str],
    *,
    afterwards: Callable[[], dict[str, str]] = dict,
) -> int:
    """Write one native table from parts of the same columns; return its rows.

    At most `ROWS_TOGETHER` rows and a part are in memory. ``afterwards`` gives the
    metadata that are known once the last part was taken.
    """
    waiting: list[Localizations] = []
    rows = held = 0
    with replacing(path) as beside, ExitStack() as open_files:
        writer: pq.ParquetWriter | None = None
        for part in chain(parts, [None]):
            if part is not None:
                waiting.append(part)
                held += len(part)
                if held < ROWS_TOGETHER:
                    continue
            if writer is None or waiting:
                joined = _arrow(concatenate(waiting), metadata)
                writer = writer or open_files.enter_context(
                    pq.ParquetWriter(
                        beside,
                        joined.schema,
                        compression="zstd",
                        use_dictionary=WORDS,
                    )
                )
                writer.write_table(joined)
            rows += held
            waiting, held = [], 0
            if part is None:
                writer.add_key_value_metadata(afterwards())
    return rows


def _arrow(table: Localizations, metadata: dict[str, str]) -> pa.Table:
    arrays = {name: np.ascontiguousarray(a) for name, a in table.columns.items()}
    filled = {name: pa.array(array) for name, array in arrays.items()}
    rows = len(next(iter(arrays.values())))
    for origin in ORIGIN:
        said = pa.scalar(metadata.get(origin.name, ""), pa.string())
        filled.setdefault(origin.name, pa.repeat(said, rows))
    fields = [
        pa.field(name, array.type, metadata=_column_facts(name))
        for name, array in filled.items()
    ]
    schema = pa.schema(fields, metadata=dict(metadata))
    return pa.Table.from_arrays(list(filled.values()), schema=schema)


def _column_facts(name: str) -> dict[str, str]:
    column = _KNOWN.get(name)
    return {"unit": column.unit, "meaning": column.meaning} if column else {}


def read_parquet(path: Path) -> tuple[Localizations, dict[str, str]]:
    """Return a native table and the metadata of its file.

    Raises `TableError` when the file is no Parquet, or lacks columns of the native
    table.
    """
    with _parquet(path) as file:
        names = file.schema_arrow.names
        require_names(path, names)
        metadata = _metadata(file)
        columns = {}
        try:
            # one after another: of a column read twice, as Arrow's and as numpy's, no
            # other is there twice
            for name in names:
                column = file.read([name]).column(0)
                if not _is_told(name, column, metadata):
                    columns[name] = column.to_numpy()
        except (OSError, ValueError, pa.ArrowException) as exc:
            raise _unreadable(path, exc) from exc
    return as_table(path, columns, is_exact=True), metadata


def _is_told(name: str, column: pa.ChunkedArray, metadata: dict[str, str]) -> bool:
    """Return whether a column of origin says in every row what the file says once."""
    if name not in {origin.name for origin in ORIGIN}:
        return False
    return set(column.unique().to_pylist()) <= {metadata.get(name, "")}


def read_parquet_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a native table's file. Raises `TableError`."""
    with _parquet(path) as file:
        require_names(path, file.schema_arrow.names)
        return _metadata(file)


def read_parquet_names(path: Path) -> list[str]:
    """Return the columns of numbers of a native table. Raises `TableError`."""
    with _parquet(path) as file:
        names = list(file.schema_arrow.names)
    require_names(path, names)
    texts = {origin.name for origin in ORIGIN}
    return [name for name in names if name not in texts]


def _metadata(file: pq.ParquetFile) -> dict[str, str]:
    """Return what a file says of itself, at its beginning or when it was closed."""
    return {
        key.decode(): value.decode()
        for key, value in (file.metadata.metadata or {}).items()
        if not key.startswith(b"ARROW:")
    }


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError, pa.ArrowException) as exc:
        raise _unreadable(path, exc) from exc


def _unreadable(path: Path, exc: Exception) -> TableError:
    return TableError(
        f"{path} cannot be read as Parquet ({_first_line(exc)}); remove it and make it "
        f"again with `her2sr process` or `her2sr localize`, or restore it from a copy",
        path=str(path),
    )


def read_parquet_parts(
    path: Path, names: Sequence[str], *, rows: int = 2**20
) -> Iterator[Localizations]:
    """Yield some columns of a native table, a bounded number of rows at a time.

    Raises `TableError` as `read_parquet` does, and for a column that holds no numbers.
    """
    with _parquet(path) as file:
        require_names(path, file.schema_arrow.names)
        try:
            for part in file.iter_batches(rows, columns=list(names)):
                yield Localizations(
                    {
                        n: require_numbers(path, n, part.column(n).to_numpy(False))
                        for n in names
                    }
                )
        except (OSError, ValueError, pa.ArrowException) as exc:
            raise _unreadable(path, exc) from exc


def is_whole_parquet(path: Path) -> bool:
    """Return whether a native table is there and every row of it can be read."""
    if not path.is_file():
        return False
    try:
        for _ in read_parquet_parts(path, read_parquet_names(path)):
            pass
    except TableError:
        return False
    return True


def count_parquet(path: Path) -> int:
    """Return the rows of a native table. Raises `TableError` when it is none."""
    with _parquet(path) as file:
        return int(file.metadata.num_rows)


def _first_line(exc: Exception) -> str:
    return str(exc).split("\n")[0].strip()


def write_native_csv(path: Path, table: Localizations) -> None:
    """Write the native columns as CSV: units in the names, conventions as in memory."""
    columns = {name: pa.array(array) for name, array in table.columns.items()}
    with replacing(path) as beside:
        csv.write_csv(pa.table(columns), beside)


def write_table(
    path: Path, table: Localizations, facts: MovieFacts, *, form: TableForm
) -> None:
    """Write a table in one of three forms; the suffix must be one of the form's own.

    Raises `RequestError` when it is not.
    """
    check_form(path, form)
    if form == "thunderstorm":
        write_thunderstorm(path, table, pixel_nm=facts.pixel_nm)
    elif form == "picasso":
        write_picasso(path, table, facts)
    elif path.suffix.lower() == ".csv":
        write_native_csv(path, table)
    else:
        write_parquet(path, table, facts.to_metadata())


def form_of(path: Path) -> TableForm:
    """Return the form that a suffix stands for. Raises `RequestError` for another."""
    for form, suffixes in FORMS.items():
        if path.suffix.lower() in suffixes[:1]:
            return form
    raise RequestError(
        f"'{path.suffix}' is no form of table; name the file .csv (ThunderSTORM), "
        f".parquet (native) or .hdf5 (Picasso)"
    )


def form_after(source: Path, path: Path) -> TableForm:
    """Return the form of a table that is made of another one.

    That of its suffix; but a CSV of native columns stays one, or it would lose some.
    """
    form = form_of(path)
    if not source.suffix.lower() == path.suffix.lower() == ".csv":
        return form
    with csv.open_csv(source) as head:
        return "native" if "x_nm" in head.schema.names else form


def check_form(path: Path, form: TableForm) -> None:
    """Raise `RequestError` when a table of that form may not have that suffix."""
    if path.suffix.lower() not in FORMS[form]:
        raise RequestError(
            f"a {form} table is written as {' or '.join(FORMS[form])}, "
            f"not '{path.suffix}'"
        )


def require_place(path: Path, form: TableForm) -> None:
    """Raise `RequestError` when a table of that form could not be written there.

    To be asked before work that would be lost.
    """
    check_form(path, form)
    require_writable(path)
    if form == "picasso":
        require_free_yaml(path)


def read_table(
    path: Path, *, pixel_nm: float = 130.0
) -> tuple[Localizations, MovieFacts | None]:
    """Return a table of any of the forms, and what it says of its movie.

    Parameters
    ----------
    path : Path
        Parquet, CSV (ThunderSTORM or native, told by the header) or Picasso HDF5.
    pixel_nm : float
        Camera pixel of a ThunderSTORM CSV, which places its origin half a pixel off.
    """
    if not path.exists():
        raise TableError(f"there is no table {path}; check the path", path=str(path))
    suffix = path.suffix.lower()
    if suffix == ".hdf5":
        return read_picasso(path)
    if suffix == ".csv":
        return _read_csv(path, pixel_nm), None
    table, metadata = read_parquet(path)
    # a unit's table says nothing: its run's manifest knows
    facts = MovieFacts.from_metadata(path, metadata)
    return _with_origin(table, metadata), facts


def _with_origin(table: Localizations, metadata: dict[str, str]) -> Localizations:
    """Return a table whose rows say where they are from, to outlive its metadata."""
    columns = dict(table.columns)
    for origin in ORIGIN:
        if said := metadata.get(origin.name, ""):
            columns.setdefault(origin.name, np.full(len(table), said, object))
    return Localizations(columns)


def _read_csv(path: Path, pixel_nm: float) -> Localizations:
    columns = read_csv_columns(path)
    if "x_nm" not in columns:
        return read_thunderstorm(path, pixel_nm=pixel_nm)
    require_names(path, list(columns))
    for origin in ORIGIN:  # of no run: a table goes without it
        if not any(columns.get(origin.name, ("",))):
            columns.pop(origin.name, None)
    return as_table(path, columns)
