"""ThunderSTORM 1.3's CSV of a maximum-likelihood fit: in and out.

There, frames count from 1 and the first pixel's centre stands at half a pixel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from her2sr_proc.errors import TableError
from her2sr_proc.schema.table import ORIGIN, Localizations
from her2sr_proc.store.atomic import replacing
from her2sr_proc.store.columns import as_table, require_single

_PLAIN = {
    "sigma [nm]": "sigma_nm",
    "intensity [photon]": "photons",
    "offset [photon]": "background_photons",
    "bkgstd [photon]": "background_sd_photons",
}
_UNCERTAINTY = ("uncertainty [nm]", "uncertainty_xy [nm]")
"""As version 1.3 says, and as later builds say."""
MERGED = "detections"
"""There once molecules were merged, in ThunderSTORM as here: of how many rows."""
_WORDS = csv.ConvertOptions(column_types={o.name: pa.string() for o in ORIGIN})
REQUIRED = ("frame", "x [nm]", "y [nm]", *_PLAIN)


def write_thunderstorm(path: Path, table: Localizations, *, pixel_nm: float) -> None:
    """Write the table whole. Columns that version 1.3 does not have are left out."""
    count = len(table)
    columns: dict[str, npt.NDArray[np.float64]] = {
        "id": np.arange(1, count + 1, dtype=np.float64),
        "frame": table["frame"].astype(np.float64) + 1,
        "x [nm]": table["x_nm"].astype(np.float64) + pixel_nm / 2,
        "y [nm]": table["y_nm"].astype(np.float64) + pixel_nm / 2,
    }
    for theirs, ours in _PLAIN.items():
        columns[theirs] = table[ours].astype(np.float64)
    columns[_UNCERTAINTY[0]] = table["uncertainty_nm"].astype(np.float64)
    if MERGED in table.columns:
        columns[MERGED] = table[MERGED].astype(np.float64)
    with replacing(path) as beside:
        csv.write_csv(pa.table({n: pa.array(c) for n, c in columns.items()}), beside)


def read_thunderstorm(path: Path, *, pixel_nm: float) -> Localizations:
    """Return a table that ThunderSTORM, or `write_thunderstorm`, has written.

    What the file does not say is nan; the fit counts as converged. Raises
    `TableError` when it is no such CSV.
    """
    content = read_csv_columns(path)
    missing = [name for name in REQUIRED if name not in content]
    given = [name for name in _UNCERTAINTY if name in content]
    if missing or not given:
        lacking = ", ".join(missing or [_UNCERTAINTY[0]])
        raise TableError(
            f"{path} is no ThunderSTORM table in nanometres and photons: it lacks "
            f"{lacking}; export it with these units",
            path=str(path),
        )
    values = {ours: content[theirs] for theirs, ours in _PLAIN.items()}
    values["frame"] = content["frame"] - 1
    values["x_nm"] = content["x [nm]"] - pixel_nm / 2
    values["y_nm"] = content["y [nm]"] - pixel_nm / 2
    for name in ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"):
        values[name] = content[given[0]]
    values["log_likelihood"] = np.full(len(values["frame"]), np.nan)
    values["status"] = np.zeros(len(values["frame"]))
    if MERGED in content:
        values[MERGED] = content[MERGED]
    return as_table(path, values)


def read_csv_columns(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a CSV of numbers, those of origin as words.

    Raises `TableError` when it is none.
    """
    try:
        content = csv.read_csv(path, convert_options=_WORDS)
        require_single(path, content.column_names)
        return {
            name: _values(name, content.column(name)) for name in content.column_names
        }
    except (OSError, ValueError, pa.ArrowException) as exc:
        reason = str(exc).split("\n")[0]
        raise TableError(
            f"{path} cannot be read as a CSV of numbers ({reason}); export it in UTF-8 "
            f"with commas between columns and points in numbers",
            path=str(path),
        ) from exc


def _values(name: str, column: pa.ChunkedArray) -> npt.NDArray[Any]:
    if name in _WORDS.column_types:
        return np.asarray(column.fill_null("").to_numpy())
    return np.asarray(column.cast(pa.float64()).to_numpy())
