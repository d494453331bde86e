"""Labels as files of other programs: label TIFF, ImageJ ROI zip, QuPath GeoJSON.

Inside, the first pixel has its centre at (0, 0). ImageJ and QuPath measure from its
corner: half a pixel is added on the way out and taken off on the way in.
"""

from __future__ import annotations

import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import roifile
from scipy import ndimage
from skimage import draw, measure, segmentation

from her2sr_proc.errors import AbsentError, DataError, RequestError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.atomic import replacing, write_text
from her2sr_proc.store.images import read_tiff, write_tiff

I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]

CORNER_PX = 0.5
"""From the corner of the first pixel to its centre."""
TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*TIFF_SUFFIXES, ".zip", ".geojson", ".json")
FARTHEST_PX = 1e6
"""Beyond, no image of this program reaches."""
LARGEST_LABEL = 2**31 - 1
LARGEST_ROI_BYTES = 4 * 2**20
"""Half a million points: more than any outline, less than a bomb unpacks to."""
_BAD_ROIS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and roifile stumble into: they believe lengths and offsets."""
_BAD_JSON = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What other shapes of JSON lead to: too deep, too large a number, a missing name."""
_AREAS = (*("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED"),)
_PART = re.compile(r"^nucleus (\d+) part \d+$")


@dataclass(frozen=True, slots=True)
class Region:
    """One nucleus as rings of points (y, x); pixels, first centre at (0, 0)."""

    name: str
    rings: tuple[F64, ...]
    """A pixel inside an odd number of them belongs to the region."""


def require_suffix(path: Path) -> None:
    """Raise `RequestError` unless the name says which kind of file is meant."""
    if path.suffix.lower() not in SUFFIXES:
        raise RequestError(
            f"{path.name} does not say what it is; end it in .tif for labels, .zip for "
            f"ImageJ or .geojson for QuPath"
        )


def write_labels(path: Path, labels: I32, *, pixel_nm: float) -> None:
    """Write labels as the suffix says.

    A TIFF holds the numbers; the others hold outlines, in which a hole inside a nucleus
    is kept by GeoJSON and filled by ImageJ.
    """
    require_suffix(path)
    if path.suffix.lower() in TIFF_SUFFIXES:
        write_tiff(path, labels, pixel_nm=pixel_nm)
    elif path.suffix.lower() == ".zip":
        _write_rois(path, regions_of(labels))
    else:
        _write_geojson(path, regions_of(labels))


def read_labels(path: Path, shape: tuple[int, int]) -> I32:
    """Return the labels of a file for an image of a shape, numbered from 1 in order.

    Where regions overlap, the first keeps the pixel; one that keeps none is refused.

    Raises
    ------
    RequestError
        When the suffix is unknown, or there is no such file.
    DataError
        When the file cannot be read, or is not of this image.
    """
    require_suffix(path)
    if not path.is_file():
        raise AbsentError(f"there are no nuclei {path}; check the path")
    if path.suffix.lower() in TIFF_SUFFIXES:
        return _whole_numbers(path, shape)
    if path.suffix.lower() == ".zip":
        return _drawn(path, _read_rois(path), shape)
    return _drawn(path, _read_geojson(path), shape)


def numbers_of(path: Path, labels: I32) -> dict[int, int]:
    """Return the number that a file itself gives each of the labels read from it.

    A label TIFF has its own, which may have gaps; outlines are numbered in their order.
    """
    found = [int(label) for label in np.unique(labels) if label]
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return {label: label for label in found}
    own = [int(value) for value in np.unique(read_tiff(path)) if value]
    return dict(zip(found, own, strict=True))


def regions_of(labels: I32) -> list[Region]:
    """Return the outlines of all labels, between the pixels: drawn anew, the same."""
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        inside = np.pad(labels[box] == label, 1).astype(np.float64)
        corner = np.array([box[0].start - 1, box[1].start - 1], np.float64)
        rings = measure.find_contours(inside, 0.5, fully_connected="high")
        found.append(Region(f"nucleus {label}", tuple(r + corner for r in rings)))
    return found


def _drawn(path: Path, regions: Iterable[Region], shape: tuple[int, int]) -> I32:
    labels = np.zeros(shape, np.int32)
    for number, region in enumerate(regions, 1):
        inside = np.zeros(shape, bool)
        for ring in region.rings:
            if len(ring) < 3 or not (np.abs(ring) < FARTHEST_PX).all():
                raise DataError(
                    f"{path}: region '{region.name}' is no outline of an area; draw it "
                    f"again, and export the regions of this image"
                )
            rows, columns = draw.polygon(ring[:, 0], ring[:, 1], shape)
            inside[rows, columns] ^= True
        if not inside.any():
            raise DataError(
                f"{path}: region '{region.name}' covers no pixel of the image of "
                f"{shape[0]} x {shape[1]}; give the regions of this image"
            )
        free = inside & (labels == 0)
        if not free.any():
            raise DataError(
                f"{path}: region '{region.name}' lies wholly under others; export "
                f"nuclei once, without the areas around them"
            )
        labels[free] = number
    return np.asarray(segmentation.relabel_sequential(labels)[0], np.int32)


def _whole_numbers(path: Path, shape: tuple[int, int]) -> I32:
    values = read_tiff(path, shape)
    if not _are_labels(values):
        raise DataError(
            f"{path} is no label image: it holds values that are not whole numbers "
            f"from 0 to {LARGEST_LABEL}; save labels, not intensities"
        )
    return np.asarray(
        segmentation.relabel_sequential(values.astype(np.int64))[0], np.int32
    )


def _are_labels(values: npt.NDArray[Any]) -> bool:
    if values.dtype.kind not in "buif" or not np.all(np.isfinite(values)):
        return False
    if values.dtype.kind == "f" and (values % 1).any():
        return False
    return bool(values.min() >= 0 and values.max() <= LARGEST_LABEL)


def _write_rois(path: Path, regions: Iterable[Region]) -> None:
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for region in regions:
            outer = [ring for ring in region.rings if _area(ring) * _OUTER > 0]
            for part, ring in enumerate(outer, 1):
                name = region.name if len(outer) == 1 else f"{region.name} part {part}"
                points = ring[:-1, ::-1] + CORNER_PX
                roi = roifile.ImagejRoi.frompoints(points, name=name)
                archive.writestr(f"{name}.roi", roi.tobytes())


def _read_rois(path: Path) -> list[Region]:
    parts: dict[str, list[F64]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in filter(_is_roi, archive.namelist()):
                roi = roifile.ImagejRoi.frombytes(_unpacked(archive, name))
                title = roi.name or name[:-4]
                found = _PART.match(title)
                key = f"nucleus {found[1]}" if found else f"{title} ({name})"
                parts.setdefault(key, []).extend(_rings_of(path, title, roi))
    except _BAD_ROIS as exc:
        raise DataError(f"{path} is no zip of ImageJ ROIs ({exc})") from exc
    if not parts:
        raise DataError(f"{path} holds no .roi; save it from ImageJ's ROI Manager")
    return [Region(name, tuple(rings)) for name, rings in parts.items()]


def _is_roi(member: str) -> bool:
    """Return whether a member is a ROI, and not what macOS puts beside each."""
    hidden = PurePosixPath(member).name.startswith("._")
    return member.lower().endswith(".roi") and not hidden


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        content = member.read(LARGEST_ROI_BYTES + 1)
    if len(content) > LARGEST_ROI_BYTES:
        raise ValueError(f"{name} has more than {LARGEST_ROI_BYTES} bytes")
    return content


def _rings_of(path: Path, title: str, roi: roifile.ImagejRoi) -> Iterator[F64]:
    if not (roi.roitype.name in _AREAS or roi.composite):
        raise DataError(
            f"{path}: ROI '{title}' is a {roi.roitype.name.lower()}, not an area; "
            f"remove it in ImageJ"
        )
    for points in roi.coordinates(multi=True):
        yield np.asarray(points, np.float64)[:, ::-1] - CORNER_PX


def _write_geojson(path: Path, regions: Iterable[Region]) -> None:
    features = []
    for region in regions:
        polygons = [
            [
                [[round(x, 3), round(y, 3)] for y, x in (r + CORNER_PX).tolist()]
                for r in p
            ]
            for p in _polygons(region.rings)
        ]
        kind, shape = (
            ("Polygon", polygons[0])
            if len(polygons) == 1
            else ("MultiPolygon", polygons)
        )
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": kind, "coordinates": shape},
                "properties": {"objectType": "detection", "name": region.name},
            }
        )
    whole = {"type": "FeatureCollection", "features": features, "banner": BANNER}
    write_text(path, json.dumps(whole) + "\n")


def _polygons(rings: tuple[F64, ...]) -> list[list[F64]]:
    """Return each outer ring with its holes."""
    outer = [[ring] for ring in rings if _area(ring) * _OUTER > 0]
    for hole in (ring for ring in rings if _area(ring) * _OUTER <= 0):
        around = [p for p in outer if measure.points_in_poly(hole[:1], p[0])[0]]
        min(around or outer, key=lambda p: abs(_area(p[0]))).append(hole)
    return outer


def _read_geojson(path: Path) -> list[Region]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        features = (
            content.get("features", [content]) if isinstance(content, dict) else content
        )
        found = [_region(number, f) for number, f in enumerate(features, 1)]
    except _BAD_JSON as exc:
        raise DataError(
            f"{path} is no GeoJSON of areas ({exc}); export detections from QuPath"
        ) from exc
    if not found:
        raise DataError(f"{path} holds no feature; export detections from QuPath")
    return found


def _region(number: int, feature: dict[str, Any]) -> Region:
    geometry = feature["geometry"]
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"feature {number} is a {geometry['type']}")
    shape = geometry["coordinates"]
    polygons = [shape] if geometry["type"] == "Polygon" else shape
    rings = tuple(
        np.asarray(ring, np.float64)[:, 1::-1] - CORNER_PX
        for polygon in polygons
        for ring in polygon
    )
    if any(
        len(ring) < 3 or ring.shape[1] != 2 or not np.isfinite(ring).all()
        for ring in rings
    ):
        raise ValueError(f"feature {number} has a ring that is no area")
    name = (feature.get("properties") or {}).get("name") or f"feature {number}"
    return Region(str(name), rings)


def _area(ring: F64) -> float:
    """Return the signed area of a closed ring."""
    y, x = ring[:, 0], ring[:, 1]
    return 0.5 * float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))


_OUTER = np.sign(_area(measure.find_contours(np.pad(np.ones((1, 1)), 1), 0.5)[0]))
"""The way round in which the outlines of scikit-image enclose what is inside."""
