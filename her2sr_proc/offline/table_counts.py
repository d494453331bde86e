"""Tables of localizations, and nuclei in a file -> rows of counts. No run is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.density import count_table
from her2sr_proc.errors import RequestError
from her2sr_proc.nuclei import Exclusion
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import Probe
from her2sr_proc.schema.table import Localizations, farthest, require_one_unit
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.regions import (
    TIFF_SUFFIXES,
    numbers_of,
    read_labels,
    require_suffix,
)
from her2sr_proc.store.results import count_cells
from her2sr_proc.store.tables import read_table

I32 = npt.NDArray[np.int32]
Row = dict[str, object]

BEYOND_PX = 8
"""A fit, or a drift that was taken off, may place a spot so far beyond the frame."""
NOT_JUDGED = "nuclei are not judged without their image: the frame's border alone"
NO_DEPTH = "loci out of focus leave few localizations: a run's own counter sees them"
NOT_LINKED = (
    "not linked: a dye that was lit for many frames counts as often; link the table "
    "with `her2sr link`"
)


def count_tables(
    tables: Mapping[Probe, Path], nuclei: Path, *, pixel_nm: float
) -> tuple[list[Row], list[str]]:
    """Return one row a nucleus with the columns of ``counts.csv``, and flags.

    Parameters
    ----------
    tables : mapping
        Localizations of one field, by probe; what is not there stays empty.
    nuclei : Path
        Labels, as TIFF, ImageJ ROI zip or QuPath GeoJSON.
    pixel_nm : float
        Pixel of the labels, for tables that do not say it.

    Raises `RequestError` for tables and labels that do not belong together,
    `TableError` and `DataError` for files that cannot be read.
    """
    if len({path.resolve() for path in tables.values()}) < len(tables):
        raise RequestError(
            "one table is given for both probes; give --beside the table of the other"
        )
    found = {
        probe: read_table(path, pixel_nm=pixel_nm) for probe, path in tables.items()
    }
    said = [facts for _, facts in found.values() if facts is not None]
    if len({(one.pixel_nm, one.height_px, one.width_px) for one in said}) > 1:
        raise RequestError(
            "the two tables are of frames of another size or scale; give tables of one "
            "field"
        )
    _require_beside([table for table, _ in found.values()])
    facts = said[0] if said else None
    labels = read_labels(nuclei, _shape(nuclei, facts))
    pixel_nm = facts.pixel_nm if facts is not None else pixel_nm
    for table, _ in found.values():
        _require_inside(table, nuclei, labels, pixel_nm)
    field = next((name for t, _ in found.values() if (name := _said(t, "field"))), "")
    rows = _nuclei(labels, pixel_nm / 1000.0, field)
    flags = [NOT_JUDGED, NO_DEPTH]
    for probe, (table, _) in found.items():
        counts = count_table(table, labels, pixel_nm=pixel_nm, params=CountParams())
        for label, arms in counts.items():
            for arm, value in arms.items():
                rows[label] |= count_cells(probe, arm, value)
        if "detections" not in table.columns:
            flags.append(f"{probe}: {NOT_LINKED}")
    numbers = numbers_of(nuclei, labels)
    return [row | {"nucleus": numbers[n]} for n, row in rows.items()], flags


def _nuclei(labels: I32, pixel_um: float, field: str) -> dict[int, Row]:
    """Return what labels alone say of every nucleus."""
    y, x = np.nonzero(labels)
    of = labels[y, x]
    areas = np.bincount(of)
    y_px, x_px = (np.bincount(of, axis) / np.maximum(areas, 1) for axis in (y, x))
    edges = np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])
    cut = set(edges.tolist())
    return {
        label: {
            "run": "",
            "field": field,
            "nucleus": label,
            "x_um": f"{x_px[label] * pixel_um:.3f}",
            "y_um": f"{y_px[label] * pixel_um:.3f}",
            "area_um2": f"{areas[label] * pixel_um**2:.3f}",
            "region": "unmarked",
            "excluded": str(label in cut).lower(),
            "exclusion_reason": Exclusion.BORDER.value if label in cut else "",
        }
        for label in np.flatnonzero(areas).tolist()
    }


def _shape(nuclei: Path, facts: MovieFacts | None) -> tuple[int, int]:
    """Return the shape of the frames: what the table says, or a TIFF of labels."""
    require_suffix(nuclei)
    if facts is not None:
        return facts.height_px, facts.width_px
    if nuclei.suffix.lower() not in TIFF_SUFFIXES:
        raise RequestError(
            f"neither the table nor {nuclei.name} says how large the frames are; give "
            f"the nuclei as a label TIFF"
        )
    shape = read_tiff(nuclei).shape
    if len(shape) != 2:
        raise RequestError(f"{nuclei.name} is no image of labels: its shape is {shape}")
    return shape[0], shape[1]


def _require_beside(tables: Sequence[Localizations]) -> None:
    """Refuse tables that say of themselves that they are not one field's two probes."""
    for table in tables:
        require_one_unit(table)
    fields = [field for table in tables if (field := _said(table, "field"))]
    if len(set(fields)) > 1:
        raise RequestError(
            f"the two tables are of the fields {' and '.join(fields)}; give tables of "
            f"one field"
        )
    channels = [channel for table in tables if (channel := _said(table, "channel"))]
    if len(set(channels)) < len(channels):
        raise RequestError(
            f"both tables are of channel {channels[0]}; give --beside the table of the "
            f"other probe"
        )


def _require_inside(
    table: Localizations, nuclei: Path, labels: I32, pixel_nm: float
) -> None:
    """Refuse labels of a frame that localizations lie beyond: they are of another."""
    for name, pixels in zip(("y_nm", "x_nm"), labels.shape, strict=True):
        seen_px = farthest(table[name]) / pixel_nm + 0.5
        if seen_px > pixels + BEYOND_PX:
            raise RequestError(
                f"localizations reach {seen_px:.0f} pixels of {pixel_nm:g} nm in "
                f"{name[0]}, and {nuclei.name} has {pixels}; give the labels of this "
                f"field, or the right --camera-pixel-nm"
            )


def _said(table: Localizations, name: str) -> str:
    """Return what a table says in every row of its origin; empty: it does not."""
    said = set(table.columns.get(name, np.zeros(0)).tolist())
    return str(said.pop()) if len(said) == 1 else ""
