"""Outlines of nuclei as GeoJSON, in the form that QuPath imports as detections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.counts import NucleusCounts
from her2sr_proc.store.atomic import write_text

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mosaic:
    """How pixels of the whole slide area map to the slide.

    Pixel (0, 0) of the mosaic has its centre at (x_um, y_um) on the slide.
    """

    x_um: float
    y_um: float
    pixel_um: float


@dataclass(frozen=True, slots=True)
class OutlinedNucleus:
    """A nucleus with its outline on the slide."""

    field: str
    counts: NucleusCounts
    outline_um: F64
    """Shape (points, 2): y, x in micrometres; the last point is the first."""


def write_nuclei(path: Path, nuclei: Sequence[OutlinedNucleus], mosaic: Mosaic) -> None:
    """Write a FeatureCollection in pixels of the mosaic.

    Other programs place images by their first pixel's *corner*: half a pixel is added.
    """
    collection = {
        "type": "FeatureCollection",
        "features": [_feature(nucleus, mosaic) for nucleus in nuclei],
        "banner": BANNER,
        "pixel_to_slide": {
            "pixel_um": mosaic.pixel_um,
            "x_um_of_first_pixel_centre": mosaic.x_um,
            "y_um_of_first_pixel_centre": mosaic.y_um,
            "rule": "slide_um = um_of_first_pixel_centre + (pixel - 0.5) * pixel_um",
        },
    }
    write_text(path, json.dumps(collection, indent=1) + "\n")


def _feature(nucleus: OutlinedNucleus, mosaic: Mosaic) -> dict[str, object]:
    counts = nucleus.counts
    kind = "excluded" if counts.excluded else "scored"
    origin = np.array([mosaic.y_um, mosaic.x_um])
    pixels = (nucleus.outline_um - origin) / mosaic.pixel_um + 0.5
    return {
        "type": "Feature",
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[round(x, 2), round(y, 2)] for y, x in pixels.tolist()]],
        },
        "properties": {
            "objectType": "detection",
            "name": f"{nucleus.field}/{counts.nucleus}",
            "classification": {"name": f"Nucleus {kind}"},
            "measurements": _measurements(counts),
            "exclusion_reason": counts.exclusion_reason,
        },
    }


def _measurements(counts: NucleusCounts) -> dict[str, float]:
    values = {
        "x_um": counts.x_um,
        "y_um": counts.y_um,
        "area_um2": counts.area_um2,
        "quality": counts.quality,
    }
    for arm, probes in counts.counts.items():
        for probe, count in probes.items():
            values[f"{probe.lower()}_{arm}"] = float(count.count)
    return {name: round(value, 3) for name, value in values.items()}
