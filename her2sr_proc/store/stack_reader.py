"""Finds what a movie's file says beside its pixels, whatever its form."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import tifffile

from her2sr_proc.errors import MovieError
from her2sr_proc.store import ome, tiff
from her2sr_proc.store.stack_facts import TO_UM, StackFacts, unsigned

LEAST_UM, MOST_UM = 1e-4, 1e3
"""Of a pixel; what lies outside is a scanner's dots per inch, or nothing."""


def read_facts(path: Path) -> StackFacts:
    """Return what is known of a movie; nothing, where its form says nothing.

    Of a folder of frames, what the first says of all. Raises `MovieError` for a TIFF
    that cannot be read.
    """
    if path.is_dir() and (path / "zarr.json").is_file():
        return _of_zarr(path)
    if path.is_dir():
        files = tiff.frame_files(path)
        if not files:
            return StackFacts()
        first = read_facts(files[0])
        return replace(first, name=path.name, labels=(), ome=None)
    if path.suffix.lower() not in tiff.SUFFIXES:
        return StackFacts(name=path.stem)
    try:
        with tifffile.TiffFile(path) as file:
            return _of_tiff(path, file)
    except tiff.READ_ERRORS as exc:
        raise MovieError(
            f"{path} cannot be read as TIFF ({exc}); copy or export it again",
            path=str(path),
        ) from exc


def _of_tiff(path: Path, file: tifffile.TiffFile) -> StackFacts:
    name = path.name.removesuffix(path.suffix).removesuffix(".ome")
    if next(iter(file.pages), None) is None:  # raw frames of a burst that goes on
        return StackFacts(name=name)
    if file.is_ome and file.ome_metadata:
        return ome.facts_of(file.ome_metadata, StackFacts(name=name))
    told: dict[str, Any] = file.imagej_metadata or {}
    labels = told.get("Labels") or ()
    labels = (labels,) if isinstance(labels, str) else tuple(map(str, labels))
    frames = max(int(told.get("images", 1)), 1)
    return StackFacts(
        pixel_um=_pixel_um(file.pages.first, told.get("unit")),
        interval_s=_positive(told.get("finterval")),
        name=name,
        info=unsigned(str(told.get("Info") or "")),
        labels=labels if len(labels) == frames else (),
    )


def _pixel_um(page: Any, unit: object) -> float | None:  # noqa: ANN401 - untyped library
    """Return the size of a pixel by its resolution, where it is of a microscope."""
    tag, of = page.tags.get("XResolution"), page.tags.get("ResolutionUnit")
    if tag is None or not isinstance(tag.value, tuple) or 0 in tag.value:
        return None
    length = (
        TO_UM.get(str(unit).lower())
        if unit
        else {2: 25_400.0, 3: 1e4}.get(int(of.value) if of is not None else 0)
    )
    if length is None:
        return None
    pixel_um = length * tag.value[1] / tag.value[0]
    return pixel_um if LEAST_UM < pixel_um < MOST_UM else None


def _of_zarr(path: Path) -> StackFacts:
    """Return the scale that an OME-Zarr of this program or another gives its frames."""
    try:
        attributes = json.loads((path / "zarr.json").read_bytes())["attributes"]["ome"]
        image = attributes["multiscales"][0]
        steps = image["datasets"][0]["coordinateTransformations"]
        scale = next(s["scale"] for s in steps if s["type"] == "scale")
        of = dict(zip((a["name"] for a in image["axes"]), scale, strict=True))
        units = {a["name"]: a.get("unit") for a in image["axes"]}
    except (KeyError, IndexError, TypeError, ValueError, StopIteration):
        return StackFacts(name=path.name.split(".")[0])
    side = _positive(of.get("x"))
    length = TO_UM.get(str(units.get("x")))
    return StackFacts(
        pixel_um=side * length if side and length else None,
        interval_s=_positive(of.get("t")) if units.get("t") == "second" else None,
        name=str(image.get("name") or path.name.split(".")[0]),
    )


def _positive(value: object) -> float | None:
    """Return a number above zero; none for anything else."""
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        return None
    return float(value)
