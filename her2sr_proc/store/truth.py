"""Reading the truth that a simulated specimen left. Only the comparison asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from her2sr_proc.errors import DataError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class TrueNuclei:
    """One entry a nucleus; positions on the slide."""

    nucleus: I64
    kind: Names
    x_um: F64
    y_um: F64
    outline_a_um: F64
    """Semi-axis of the silhouette of the part inside the section."""
    outline_b_um: F64
    angle_rad: F64


@dataclass(frozen=True, slots=True)
class TrueLoci:
    """One entry a signal; two sister signals share their copy."""

    signal: I64
    copy: I64
    nucleus: I64
    probe: Names
    x_um: F64
    y_um: F64
    z_um: F64
    in_section: Mask


@dataclass(frozen=True, slots=True)
class SpecimenTruth:
    """What is really on the simulated slide."""

    nuclei: TrueNuclei
    loci: TrueLoci


def read_truth(folder: Path) -> SpecimenTruth | None:
    """Return the truth of a run folder's ``simulated_truth``; None without one."""
    nuclei, loci = folder / "nuclei.parquet", folder / "loci.parquet"
    if not (nuclei.exists() and loci.exists()):
        return None
    n, s = _table(nuclei), _table(loci)
    return SpecimenTruth(
        TrueNuclei(
            nucleus=_integers(n, "nucleus"),
            kind=_names(n, "kind"),
            x_um=_numbers(n, "x_um"),
            y_um=_numbers(n, "y_um"),
            outline_a_um=_numbers(n, "outline_a_um"),
            outline_b_um=_numbers(n, "outline_b_um"),
            angle_rad=_numbers(n, "angle_rad"),
        ),
        TrueLoci(
            signal=_integers(s, "signal"),
            copy=_integers(s, "copy"),
            nucleus=_integers(s, "nucleus"),
            probe=_names(s, "probe"),
            x_um=_numbers(s, "x_um"),
            y_um=_numbers(s, "y_um"),
            z_um=_numbers(s, "z_um"),
            in_section=np.asarray(_column(s, "in_section"), bool),
        ),
    )


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowInvalid) as exc:
        raise DataError(f"{path.name} of the simulated truth cannot be read") from exc


def _column(table: pa.Table, name: str) -> npt.NDArray[np.generic]:
    if name not in table.column_names:
        raise DataError(f"the simulated truth lacks the column '{name}'")
    return np.asarray(table.column(name).to_numpy())


def _integers(table: pa.Table, name: str) -> I64:
    return np.asarray(_column(table, name), np.int64)


def _numbers(table: pa.Table, name: str) -> F64:
    return np.asarray(_column(table, name), np.float64)


def _names(table: pa.Table, name: str) -> Names:
    return np.asarray(_column(table, name), np.str_)
