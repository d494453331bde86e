"""From areas drawn on the page, and nuclei clicked, to marks of nuclei."""

from __future__ import annotations

import numpy as np

from her2sr_proc.errors import AbsentError, RequestError
from her2sr_proc.review.machine import Machine
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.counts import Region
from her2sr_proc.schema.review import FieldPlace
from her2sr_proc.schema.review_requests import AreaDrawn, RegionsRequest
from her2sr_proc.store.counts_table import CountTable
from her2sr_proc.store.marks import Area, from_areas

SLACK_UM = 0.5
"""A corner set on the rim of a field may miss it by the width of the line."""


def places(machine: Machine) -> tuple[FieldPlace, ...]:
    """Return where the fields lie on the slide."""
    height = machine.manifest.frame_height * machine.pixel_um
    width = machine.manifest.frame_width * machine.pixel_um
    return tuple(
        FieldPlace(
            name=facts.name,
            left_um=facts.x_um - width / 2,
            top_um=facts.y_um - height / 2,
            width_um=width,
            height_um=height,
        )
        for facts in machine.manifest.fields
    )


def marking(
    request: RegionsRequest, table: CountTable, machine: Machine
) -> RegionsMarked:
    """Return the act of marking: single nuclei overrule the areas they lie in.

    Raises `RequestError` for an area outside the fields, one that holds no nucleus,
    and a nucleus that is not there.
    """
    if not request.areas and not request.marks:
        raise RequestError("nothing is marked; draw an area or choose nuclei")
    for area in request.areas:
        _require_inside(area, machine)
    names = [area.name for area in request.areas]
    if len(set(names)) < len(names):
        raise RequestError("two areas bear one name; name each of its own")
    known = {row.key for row in table.rows}
    strange = sorted(set(request.marks) - known)
    if strange:
        raise AbsentError(f"the run has no nucleus {strange[0]}")
    marks: dict[str, Region] = {}
    areas: dict[str, str] = {}
    for area in request.areas:
        found = from_areas([_area(area)], table)
        if not found.regions:
            raise RequestError(
                f"no nucleus has its centre in '{area.name}'; draw around its nuclei"
            )
        marks |= found.regions
        areas |= found.areas
    return RegionsMarked(
        marks=marks | request.marks,
        areas=areas,
        outlines={area.name: area.outline for area in request.areas},
        classes={area.name: area.region for area in request.areas},
    )


def _area(drawn: AreaDrawn) -> Area:
    return Area(drawn.name, drawn.region, (np.asarray(drawn.outline, np.float64),))


def _require_inside(area: AreaDrawn, machine: Machine) -> None:
    fields = places(machine)
    left = min(f.left_um for f in fields) - SLACK_UM
    top = min(f.top_um for f in fields) - SLACK_UM
    right = max(f.left_um + f.width_um for f in fields) + SLACK_UM
    bottom = max(f.top_um + f.height_um for f in fields) + SLACK_UM
    for x, y in area.outline:
        if not (left <= x <= right and top <= y <= bottom):
            raise RequestError(
                f"'{area.name}' has a corner at {x:.1f}, {y:.1f} um, outside the "
                f"fields of this run; draw it inside"
            )
