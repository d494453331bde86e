"""The truth that a simulation leaves: nuclei, loci, on intervals of dyes, and a card.

Written for whoever compares answers with it; nothing of the simulator reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from her2sr_proc.store import atomic
from simulators._kernels import life
from simulators.options import SimulationOptions
from simulators.photophysics import Emitters
from simulators.specimen import Specimen

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

ROWS_TOGETHER = 2**16
INTERVALS_KEPT = 20_000_000
"""Beyond this, intervals are no longer kept, and the card says so."""


class _Burst(NamedTuple):
    """What was noted in one burst."""

    facts: tuple[int, int, float, float]
    """Its number, laser and place: the first columns, the same in every row."""
    emitter: I64
    signal: I32
    frames: I32
    """Shape (rows, 2): first and last."""


class Intervals:
    """Notes in which frames of which burst a dye shone."""

    def __init__(self) -> None:
        self._bursts: list[_Burst] = []
        self._parts: list[I32] = []
        self._found: I64 = np.zeros((0, 3), np.int64)
        self._rows = 0
        self.schema = pa.schema(
            [
                ("burst", pa.int32()),
                ("laser_nm", pa.int32()),
                ("x_um", pa.float64()),
                ("y_um", pa.float64()),
                ("emitter", pa.int64()),
                ("signal", pa.int32()),
                ("first_frame", pa.int32()),
                ("last_frame", pa.int32()),
            ]
        )
        self.complete = True

    def begin(self, dyes: Emitters) -> None:
        """Start a burst over a table of dyes."""
        self._dyes = dyes
        self._first: I32 = np.full(len(dyes), -1, np.int32)
        self._last: I32 = np.full(len(dyes), -1, np.int32)
        if len(self._found) != 2 * len(dyes) + 1:
            self._found = np.zeros((2 * len(dyes) + 1, 3), np.int64)
        self._used = 0

    def note(self, inside: I64, photons: F64, frame: int) -> None:
        """Note one frame: which dyes shone. The table must be that of `begin`.

        ``inside``: int64, shape (n,), rows of the table; ``photons``: float64, shape
        (n,), photo-electrons of each in this frame.
        """
        if self._used + inside.size > len(self._found):
            self._spill()
        self._used = life.note_intervals(
            inside, photons, frame, self._first, self._last, self._found, self._used
        )

    def end(self, burst: int, laser_nm: int, stage_um: tuple[float, float]) -> None:
        """Finish the burst."""
        self._spill()
        still = np.flatnonzero(self._first >= 0)
        rows = np.column_stack([still, self._first[still], self._last[still]])
        rows = rows.astype(np.int32)
        found = np.concatenate([*self._parts, rows])
        self._parts = []
        if self._rows + len(found) > INTERVALS_KEPT:
            self.complete = False
            return
        self._rows += len(found)
        found = found[np.lexsort((found[:, 1], found[:, 0]))]
        dye = found[:, 0]
        self._bursts.append(
            _Burst(
                (burst, laser_nm, *stage_um),
                self._dyes.number[dye],
                self._dyes.signal[dye].astype(np.int32),
                found[:, 1:].copy(),
            )
        )

    def tables(self) -> Iterator[pa.Table]:
        """Yield everything noted so far, in order, some rows at a time."""
        yield self.schema.empty_table()
        kinds = [field.type.to_pandas_dtype() for field in self.schema]
        for burst in self._bursts:
            for start in range(0, len(burst.emitter), ROWS_TOGETHER):
                rows = slice(start, start + ROWS_TOGETHER)
                emitter = burst.emitter[rows]
                columns = [*(np.full(len(emitter), fact) for fact in burst.facts)]
                columns += [emitter, burst.signal[rows], *burst.frames[rows].T]
                yield pa.Table.from_arrays(
                    [
                        pa.array(np.ascontiguousarray(column, kind))
                        for column, kind in zip(columns, kinds, strict=True)
                    ],
                    schema=self.schema,
                )

    def _spill(self) -> None:
        self._parts.append(self._found[: self._used].astype(np.int32))
        self._used = 0


def write(
    folder: Path,
    specimen: Specimen,
    intervals: Intervals,
    options: SimulationOptions,
    card: dict[str, Any],
) -> None:
    """Write the truth of every tile of the slide that was looked at.

    Parameters
    ----------
    folder : Path
        Made if need be; files of an earlier call are replaced one by one.
    specimen, intervals, options
        Of the simulation.
    card : dict
        What the world adds to ``specimen.json``.
    """
    tables = {"nuclei": _nuclei(specimen), "loci": _loci(specimen)}
    for name, table in tables.items():
        with atomic.replacing(folder / f"{name}.parquet") as path:
            pq.write_table(table, path, compression="zstd")
    with (
        atomic.replacing(folder / "intervals.parquet") as path,
        pq.ParquetWriter(path, intervals.schema, compression="zstd") as writer,
    ):
        for table in intervals.tables():
            writer.write_table(table)
    text = {
        "version": 1,
        "kind": options.specimen,
        "seed": options.seed,
        "mounts": [mount.model_dump(mode="json") for mount in options.mounts],
        "section_um": options.sample.section_um,
        "kinetics_factor": options.kinetics_factor,
        "noise": options.noise,
        "pixel_nm": options.pixel_nm,
        "height": options.height,
        "width": options.width,
        "intervals_complete": intervals.complete,
    }
    atomic.write_text(
        folder / "specimen.json", json.dumps(text | card, indent=1) + "\n"
    )


_NUCLEI = pa.schema(
    [
        ("nucleus", pa.int32()),
        ("kind", pa.string()),
        ("region", pa.string()),
        ("x_um", pa.float64()),
        ("y_um", pa.float64()),
        ("z_um", pa.float64()),
        ("a_um", pa.float64()),
        ("b_um", pa.float64()),
        ("c_um", pa.float64()),
        ("angle_rad", pa.float64()),
        ("outline_a_um", pa.float64()),
        ("outline_b_um", pa.float64()),
        ("phase", pa.string()),
        ("cut", pa.bool_()),
    ]
)


def _nuclei(specimen: Specimen) -> pa.Table:
    nuclei = [n for tile in specimen.seen() for n in tile.nuclei]
    columns = {
        field.name: [getattr(n, field.name) for n in nuclei] for field in _NUCLEI
    }
    return pa.table(columns, schema=_NUCLEI)


def _loci(specimen: Specimen) -> pa.Table:
    loci = [tile.loci for tile in specimen.seen()]

    def column(name: str) -> npt.NDArray[Any]:
        parts = [getattr(part, name) for part in loci]
        return np.concatenate(parts) if parts else np.zeros(0)

    numbers = {n: column(n).astype(np.int32) for n in ("signal", "copy", "nucleus")}
    probe = np.where(column("is_her2").astype(bool), "HER2", "CEP17")
    lengths = {n: column(n).astype(np.float64) for n in ("x_um", "y_um", "z_um")}
    flags = {n: column(n).astype(bool) for n in ("in_section", "doublet")}
    return pa.table(numbers | {"probe": probe.astype(str)} | lengths | flags)
