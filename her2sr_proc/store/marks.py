"""Marks of regions: a CSV of nuclei, or areas drawn in QuPath (GeoJSON).

A mark says of a nucleus what a person saw; who the person is, the caller says.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.measure import points_in_poly

from her2sr_proc.errors import AbsentError, TableError
from her2sr_proc.schema.counts import Region
from her2sr_proc.store.counts_table import CountTable

F64 = npt.NDArray[np.float64]
CLASSES: dict[str, Region] = {
    "invasive": "invasive",
    "invasive tumour": "invasive",
    "invasive tumor": "invasive",
    "tumor": "invasive",
    "tumour": "invasive",
    "normal": "normal",
    "stroma": "other",
    "other": "other",
    "ignore": "other",
    "dcis": "other",
}
"""Names of classes, in small letters, and what they mean here; `Tumor` and `Stroma` are
QuPath's own."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What was marked."""

    regions: dict[str, Region]
    """field/nucleus -> region."""
    areas: dict[str, str]
    """field/nucleus -> name of the drawn area."""


@dataclass(frozen=True, slots=True)
class Area:
    """An outline with its class."""

    name: str
    region: Region
    rings: tuple[F64, ...]
    """Outline first, then holes; x, y in micrometres on the slide."""

    def holds(self, points: F64) -> npt.NDArray[np.bool_]:
        """Return which points, shape (n, 2), lie inside."""
        inside = np.asarray(points_in_poly(points, self.rings[0]), bool)
        for hole in self.rings[1:]:
            inside &= ~np.asarray(points_in_poly(points, hole), bool)
        return inside


def mark_all(table: CountTable, region: Region = "invasive") -> Marks:
    """Return marks of every accepted nucleus: what a person says of a whole table."""
    return Marks({r.key: region for r in table.rows if not r.is_excluded}, {})


def read_marks(path: Path, table: CountTable) -> Marks:
    """Read marks for the nuclei of a table.

    A `.csv` has columns field, nucleus, region and perhaps area; anything else is
    GeoJSON with polygons, in micrometres on the slide unless it carries
    `pixel_to_slide` as our own export does. Of areas that overlap, the last holds.

    Raises `TableError` for what cannot be read, and for marks that meet no nucleus;
    `AbsentError` when there is no such file.
    """
    if not path.is_file():
        raise AbsentError(f"there are no marks {path}; check the path")
    if path.suffix.lower() == ".csv":
        try:
            marks = _from_csv(path)
        except (UnicodeDecodeError, csv.Error) as exc:
            raise TableError(f"{path} is no CSV of marks ({exc})") from exc
    else:
        marks = from_areas(_areas(path), table)
    known = {row.key for row in table.rows}
    strange = sorted(set(marks.regions) - known)
    if strange:
        raise TableError(f"{path} marks {strange[0]}, which the counts do not hold")
    if not marks.regions:
        raise TableError(
            f"no nucleus of the counts lies in an area of {path}: check that both are "
            f"of one slide, in micrometres on it"
        )
    return marks


def _from_csv(path: Path) -> Marks:
    regions: dict[str, Region] = {}
    areas: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"field", "nucleus", "region"} - set(reader.fieldnames or ())
        if missing:
            raise TableError(f"{path} holds no marks: it lacks '{min(missing)}'")
        for number, row in enumerate(reader, start=1):
            key = f"{(row['field'] or '').strip()}/{(row['nucleus'] or '').strip()}"
            regions[key] = _region(path, f"row {number}", row["region"] or "")
            if row.get("area"):
                areas[key] = row["area"].strip()
    return Marks(regions, areas)


def from_areas(areas: Sequence[Area], table: CountTable) -> Marks:
    """Return the marks of nuclei whose centres lie in areas; the last area holds.

    Raises `TableError` where the table has no places.
    """
    placed = [row for row in table.rows if row.place_um is not None]
    regions: dict[str, Region] = {}
    names: dict[str, str] = {}
    if not placed:
        raise TableError("areas need x_um and y_um of the nuclei; mark nuclei by CSV")
    points = np.array([row.place_um for row in placed], np.float64)
    for area in areas:
        for index in np.flatnonzero(area.holds(points)):
            key = placed[index].key
            regions[key] = area.region
            names[key] = area.name
    return Marks(regions, names)


def _areas(path: Path) -> list[Area]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        is_collection = isinstance(found, dict)
        features = found["features"] if is_collection else found
        scale = found.get("pixel_to_slide") if is_collection else None
        return [
            area
            for number, feature in enumerate(features, start=1)
            for area in _of_feature(path, number, feature, scale)
        ]
    except (
        UnicodeDecodeError,
        json.JSONDecodeError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        RecursionError,
    ) as exc:
        raise TableError(
            f"{path} holds no areas ({type(exc).__name__}: {exc}); export annotations "
            f"from QuPath as GeoJSON FeatureCollection"
        ) from exc


def _of_feature(
    path: Path, number: int, feature: dict[str, object], scale: dict[str, float] | None
) -> Iterator[Area]:
    properties = feature.get("properties") or {}
    geometry = feature["geometry"]
    if not (isinstance(properties, dict) and isinstance(geometry, dict)):
        raise TypeError(f"feature {number} has no geometry")
    said = properties.get("classification") or {}
    name = said.get("name", "") if isinstance(said, dict) else str(said)
    region = _region(path, f"feature {number}", name)
    label = str(properties.get("name") or f"area {number}")
    parts = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        parts = [parts]
    elif geometry["type"] != "MultiPolygon":
        raise ValueError(f"feature {number} is a {geometry['type']}, not a polygon")
    for rings in parts:
        yield Area(label, region, tuple(_ring(ring, scale) for ring in rings))


def _ring(ring: object, scale: dict[str, float] | None) -> F64:
    points = np.asarray(ring, np.float64)
    if points.ndim != 2 or points.shape[1] < 2 or len(points) < 3:
        raise ValueError("an outline needs three points of x and y")
    points = points[:, :2]
    if not np.isfinite(points).all():
        raise ValueError("an outline has a point that is no number")
    if scale is None:
        return points
    first = (scale["x_um_of_first_pixel_centre"], scale["y_um_of_first_pixel_centre"])
    return np.asarray(first) + (points - 0.5) * scale["pixel_um"]


def _region(path: Path, where: str, name: str) -> Region:
    try:
        return CLASSES[name.strip().lower()]
    except KeyError:
        raise TableError(
            f"{path}, {where}: '{name}' is no class that is known; choose from "
            f"{', '.join(CLASSES)}"
        ) from None
