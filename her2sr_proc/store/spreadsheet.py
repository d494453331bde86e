"""Rows of a CSV that people made: any separator, named columns, told by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from her2sr_proc.errors import TableError

MISSING = {"", "NA", "na"}
LARGEST_BYTES = 20_000_000
Row = dict[str, str]
Model = TypeVar("Model", bound=BaseModel)


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """Return the names of the columns, and each row with its line.

    Comment lines and blank ones are passed over; a cell that is empty or NA is absent
    from its row. Raises `TableError` for a file that is no CSV, has no rows or two
    columns of a name, and for a row with cells too many or too few.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_text(path).splitlines(), 1)
        if line.strip(" ,;\t") and not line.startswith("#")
    ]
    if len(lines) < 2:
        raise TableError(f"{path.name} has no rows; give a header and one row a sample")
    sign = max(",;\t", key=lines[0][1].count)
    names = [name.strip() for name in _cells(lines[0][1], sign)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(
            f"{path.name} has two columns '{twice[0]}'; rename or remove one"
        )
    rows = []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in _cells(line, sign)]
        if len(cells) != len(names):
            raise TableError(
                f"{path.name}, line {number} has {len(cells)} cells, and the header "
                f"{len(names)}; fill in what is missing, with nothing for not known"
            )
        filled = zip(names, cells, strict=True)
        rows.append((number, {n: cell for n, cell in filled if cell not in MISSING}))
    return names, rows


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise TableError(f"{path.name} is too large for a cohort; give one CSV")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise TableError(f"there is no file {path}; name a CSV") from exc
    except IsADirectoryError as exc:
        raise TableError(f"{path} is a folder; name a CSV") from exc
    except UnicodeDecodeError as exc:
        raise TableError(f"{path.name} is no UTF-8 text; save it as CSV UTF-8") from exc


def _cells(line: str, sign: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line), delimiter=sign))
    except csv.Error as exc:
        raise TableError(f"the file is no CSV ({exc}); save it as one") from exc


def require_column(path: Path, names: list[str], name: str) -> None:
    """Raise `TableError` where a column is not there."""
    if name not in names:
        raise TableError(f"{path.name} has no column '{name}'; add it to the header")


def require_known(path: Path, names: list[str], model: type[BaseModel]) -> None:
    """Raise `TableError` for a column that is no field of the rows' model."""
    for name in names:
        if name not in model.model_fields:
            raise TableError(
                f"{path.name} has an unknown column '{name}'; known are "
                f"{', '.join(model.model_fields)}"
            )


def as_model(
    path: Path,
    line: int,
    model: type[Model],
    values: Mapping[str, object],
    names: Mapping[str, str],
) -> Model:
    """Return a row as its model; ``names`` tells the columns of its fields.

    Raises `TableError` with the line and the column of what cannot be.
    """
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        field = str(fault["loc"][0]) if fault["loc"] else ""
        where = f"{names.get(field, field)}: " if field else ""
        raise TableError(
            f"{path.name}, line {line}: {where}{fault['msg']}; correct that cell"
        ) from exc
