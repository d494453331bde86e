"""Areas on the slide from a GeoJSON, and whether a rectangle overlaps them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

Point = tuple[float, float]
MOST_POINTS = 100_000
"""Of all areas together: a drawn region has hundreds."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the slide, in um."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x_um: float, y_um: float, size_um: tuple[float, float]) -> Box:
        """Return the box of a height and width with its centre at a place."""
        height, width = size_um
        return cls(
            x_um - width / 2, y_um - height / 2, x_um + width / 2, y_um + height / 2
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """One polygon: a ring, and rings of holes; points are x, y in um."""

    name: str
    ring: tuple[Point, ...]
    holes: tuple[tuple[Point, ...], ...] = ()

    def covered_um2(self, box: Box) -> float:
        """Return the area that the polygon has inside a box."""
        outer = _area(_clipped(self.ring, box))
        return outer - sum(_area(_clipped(hole, box)) for hole in self.holes)

    def corners(self) -> tuple[Point, Point]:
        """Return the smallest and the largest x, y."""
        x, y = zip(*self.ring, strict=True)
        return (min(x), min(y)), (max(x), max(y))


def read_outlines(geojson: Mapping[str, JsonValue]) -> tuple[Outline, ...]:
    """Return the areas of a FeatureCollection, a Feature or a geometry.

    Raises ValueError, which pydantic takes up, with the feature and the cure, for
    anything that is no area.
    """
    features = geojson.get("features", [dict(geojson)])
    if not isinstance(features, list) or not features:
        raise ValueError("regions hold no feature; export areas from QuPath")
    found = [o for n, f in enumerate(features, 1) for o in _of_feature(n, f)]
    if not found:
        raise ValueError("regions hold no area; export areas from QuPath")
    rings = [ring for outline in found for ring in (outline.ring, *outline.holes)]
    if sum(map(len, rings)) > MOST_POINTS:
        raise ValueError(f"regions have more than {MOST_POINTS} points; simplify them")
    return tuple(found)


def _of_feature(number: int, feature: JsonValue) -> Iterator[Outline]:
    cure = "export areas (polygons) from QuPath"
    if not isinstance(feature, dict):
        raise ValueError(f"region {number} is no feature; {cure}")  # noqa: TRY004
    geometry = feature.get("geometry", feature)
    properties = feature.get("properties")
    said = properties.get("name") if isinstance(properties, dict) else None
    name = said if isinstance(said, str) and said else f"region {number}"
    if not isinstance(geometry, dict):
        raise ValueError(f"{name} has no geometry; {cure}")  # noqa: TRY004
    kind, shape = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(shape, list):
        raise ValueError(f"{name} is a {kind}, not an area; {cure}")
    for polygon in [shape] if kind == "Polygon" else shape:
        if not isinstance(polygon, list) or not polygon:
            raise ValueError(f"{name} has a polygon without points; {cure}")
        rings = [_ring(name, ring) for ring in polygon]
        yield Outline(name, rings[0], tuple(rings[1:]))


def _ring(name: str, ring: JsonValue) -> tuple[Point, ...]:
    points = ring if isinstance(ring, list) else []
    found = [_point(name, point) for point in points]
    if len(found) > 1 and found[0] == found[-1]:
        found.pop()
    if len(found) < 3 or _area(found) <= 0.0:
        raise ValueError(f"{name} has a ring that encloses nothing; draw it again")
    return tuple(found)


def _point(name: str, point: JsonValue) -> Point:
    if isinstance(point, list) and len(point) >= 2:
        x, y = point[:2]
        if _is_finite(x) and _is_finite(y):
            return float(x), float(y)  # type: ignore[arg-type]
    raise ValueError(f"{name} has a point that is not x and y in um; draw it again")


def _is_finite(value: JsonValue) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return is_number and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:  # an integer beyond every float
        return False


def _clipped(ring: Sequence[Point], box: Box) -> list[Point]:
    """Return the part of a polygon in a box, side by side (Sutherland-Hodgman).

    Parts of a concave polygon stay joined by edges of no width, which have no area.
    """
    points = list(ring)
    sides = ((0, box.left, 1), (0, box.right, -1), (1, box.top, 1), (1, box.bottom, -1))
    for axis, limit, sign in sides:
        points = list(_cut(points, axis, limit, sign))
    return points


def _cut(
    points: Sequence[Point], axis: int, limit: float, sign: int
) -> Iterator[Point]:
    for n, point in enumerate(points):
        former = points[n - 1]
        before, here = (sign * (p[axis] - limit) for p in (former, point))
        if (before < 0.0) != (here < 0.0):
            t = before / (before - here)
            yield (
                former[0] + t * (point[0] - former[0]),
                former[1] + t * (point[1] - former[1]),
            )
        if here >= 0.0:
            yield point


def _area(points: Sequence[Point]) -> float:
    return 0.5 * abs(
        sum(
            points[n - 1][0] * p[1] - p[0] * points[n - 1][1]
            for n, p in enumerate(points)
        )
    )
