"""Nuclei in the mean DAPI image: labels, their quality, and which may be scored.

How labels come about is in `segmentation`. Knows neither files nor signals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import measure

from her2sr_proc.schema.count_params import NucleiParams
from her2sr_proc.segmentation.measures import Measures, measures

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


class Exclusion(StrEnum):
    """Why a nucleus is not scored; the values are told to people."""

    BORDER = "touches the border of the frame"
    SMALL = "too small"
    LARGE = "too large"
    RAGGED = "not convex: overlapping or torn"
    OVERLAPPED = "lies over or under a neighbour"
    BLURRED = "out of focus"
    DARK = "no brighter than the background"


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One labelled nucleus. Positions in pixels of the frame."""

    label: int
    y_px: float
    x_px: float
    area_um2: float
    solidity: float
    edge: float
    """0 to 1: the step at the outline over the step to the background."""
    focus: float
    """0 to 1: half the widest edge that is accepted, over the width of its edge."""
    overlap: float
    """0 to 1: area that is lit by a neighbour too, over its own."""
    quality: float
    """0 to 1: the product of size, solidity, edge, focus and freedom of overlap."""
    exclusions: tuple[Exclusion, ...]
    """Everything that speaks against it; none when it may be scored."""

    @property
    def exclusion_reason(self) -> str:
        """Every reason in words; empty when the nucleus may be scored."""
        return "; ".join(self.exclusions)


def describe(
    labels: I32, dapi: F32, *, pixel_um: float, params: NucleiParams
) -> list[Nucleus]:
    """Return every label with its quality and what there is against it.

    Parameters
    ----------
    labels : int32 array, shape (height, width)
        From `segment`, or of a person.
    dapi : float32 array, shape (height, width)
        The image that was segmented.
    pixel_um : float
        Width of a pixel in the sample.
    params : NucleiParams
        Limits of area, solidity, overlap and focus.

    Raises
    ------
    DataError
        When the image is none, or the labels are of another one.
    """
    return [_judged(m, params) for m in measures(labels, dapi, pixel_um=pixel_um)]


def outline(labels: I32, label: int) -> npt.NDArray[np.float64]:
    """Return the closed outline of a label, shape (points, 2): y, x in pixels."""
    box = ndimage.find_objects((labels == label).astype(np.int8))[0]
    inside = np.pad(labels[box] == label, 1)
    contours = measure.find_contours(inside.astype(np.float64), 0.5)
    longest = max(contours, key=len)
    corner = np.array([box[0].start - 1, box[1].start - 1], np.float64)
    return np.asarray(measure.approximate_polygon(longest, 0.5) + corner, np.float64)


def _judged(found: Measures, params: NucleiParams) -> Nucleus:
    focus = _focus(found, params)
    size = min(
        1.0,
        found.area_um2 / max(params.minimum_area_um2, 1e-9),
        params.maximum_area_um2 / found.area_um2,
    )
    parts = (size, found.solidity, found.edge, focus, 1.0 - found.overlap)
    return Nucleus(
        label=found.label,
        y_px=found.y_px,
        x_px=found.x_px,
        area_um2=found.area_um2,
        solidity=found.solidity,
        edge=found.edge,
        focus=focus,
        overlap=found.overlap,
        quality=min(1.0, math.prod(parts)),
        exclusions=_exclusions(found, params),
    )


def _focus(found: Measures, params: NucleiParams) -> float:
    """Return 1 for an edge half as wide as the widest accepted, and less for wider."""
    if math.isnan(found.edge_um):
        return 1.0  # no edge at all: `edge` says so, and is zero
    return min(1.0, 0.5 * params.widest_edge_um / found.edge_um)


def _exclusions(found: Measures, params: NucleiParams) -> tuple[Exclusion, ...]:
    against = {
        Exclusion.BORDER: found.at_border,
        Exclusion.SMALL: found.area_um2 < params.minimum_area_um2,
        Exclusion.LARGE: found.area_um2 > params.maximum_area_um2,
        Exclusion.RAGGED: found.solidity < params.minimum_solidity,
        Exclusion.OVERLAPPED: found.overlap > params.maximum_overlap,
        Exclusion.BLURRED: found.edge_um > params.widest_edge_um,
        Exclusion.DARK: not found.is_lit,
    }
    return tuple(reason for reason, holds in against.items() if holds)
