"""The report of a run as one page that needs no network. Opens no file of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from her2sr_proc.comparison import Comparison
from her2sr_proc.report import charts
from her2sr_proc.report.conditions import Conditions
from her2sr_proc.report.mosaic import Layers, Tile, overview
from her2sr_proc.report.motion import Motion, StackPicture, chart
from her2sr_proc.report.overlay import overlay
from her2sr_proc.report.pictures import (
    GAMMA,
    composite,
    data_uri,
    stretch,
    stretch_sparse,
)
from her2sr_proc.report.templates import bounds, environment, style
from her2sr_proc.schema.counts import FieldResult, NucleusCounts, scored
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import Arm, ArmName, RunResult

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

ARM_TITLES: dict[ArmName, str] = {
    "sr_merged": "super-resolution, doublets merged",
    "sr": "super-resolution, as resolved",
    "conventional": "conventional",
}
GROUP_TEXTS = {
    1: "ratio ≥ 2.0 and HER2 ≥ 4.0 per nucleus",
    2: "ratio ≥ 2.0 and HER2 < 4.0 per nucleus",
    3: "ratio < 2.0 and HER2 ≥ 6.0 per nucleus",
    4: "ratio < 2.0 and HER2 from 4.0 to below 6.0 per nucleus",
    5: "ratio < 2.0 and HER2 < 4.0 per nucleus",
}
SHOWN_FIELDS = 16
PICTURE_PX = 768


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field with its images; a channel without an image is absent."""

    result: FieldResult
    x_um: float
    y_um: float
    labels: I32 | None
    conventional: Layers
    """Probe and image of every channel, nuclei first."""
    superresolution: Callable[[], Layers]
    """Asked for only when the field is shown: these images are large."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that the page tells."""

    manifest: Manifest
    result: RunResult
    fields: Sequence[Callable[[], FieldView]]
    """Each opens one field, so that never more than one is in memory."""
    comparison: Comparison | None
    made_with: dict[str, str]
    """Versions of what computed the answer."""
    conditions: Conditions = field(default_factory=Conditions)
    motions: Sequence[Motion] = ()
    stacks: Sequence[StackPicture] = ()


@dataclass(frozen=True, slots=True)
class _Panel:
    """One field as shown on the page."""

    name: str
    accepted: int
    found: int
    flags: tuple[str, ...]
    conventional_uri: str
    conventional_svg: str
    superresolution_uri: str
    superresolution_svg: str


def render(data: ReportData) -> str:
    """Return the page as HTML."""
    made = environment()
    made.filters["interval"] = interval
    tiles, results, panels = _fields(data)
    pixel_um = data.manifest.camera.pixel_nm / 1000.0
    nuclei, accepted = list(scored(results)), _rows(results, excluded=False)
    return made.get_template("report.html.j2").render(
        css=style("report.css"),
        manifest=data.manifest,
        result=data.result,
        headline=data.result.arms[data.result.headline],
        titles=ARM_TITLES,
        group_texts=GROUP_TEXTS,
        arms=_arms(data.result),
        overview=overview(tiles, pixel_um),
        panels=panels,
        field_count=len(data.fields),
        nuclei=nuclei,
        beside=[row for row in accepted if row not in nuclei],
        rejected=_rows(results, excluded=True),
        conditions=data.conditions,
        exclusions=_exclusions(results),
        truths={(r.field, r.nucleus): r for r in data.comparison.nuclei}
        if data.comparison
        else {},
        agreement=_agreement(data.comparison, results),
        histogram=charts.histogram(
            _her2_series(data, results), "HER2 signals in a nucleus"
        ),
        ratio_chart=charts.ratios(_arms(data.result)),
        motions=data.motions,
        motion_chart=chart(data.motions),
        stack_pictures=data.stacks,
        gamma=GAMMA,
        made_with=data.made_with,
    )


def _fields(
    data: ReportData,
) -> tuple[list[Tile], list[FieldResult], list[_Panel]]:
    """Open every field once; show the first of those that hold scored nuclei."""
    pixel_um = data.manifest.camera.pixel_nm / 1000.0
    tiles: list[Tile] = []
    results: list[FieldResult] = []
    panels: list[_Panel] = []
    for open_field in data.fields:
        view = open_field()
        accepted = sum(not nucleus.excluded for nucleus in view.result.nuclei)
        caption = f"{accepted} of {len(view.result.nuclei)} nuclei accepted"
        tiles.append(
            Tile(view.result.field, view.x_um, view.y_um, view.conventional, caption)
        )
        results.append(view.result)
        if len(panels) < SHOWN_FIELDS and view.conventional:
            panels.append(_panel(view, accepted, pixel_um))
    return tiles, results, panels


def _panel(view: FieldView, accepted: int, pixel_um: float) -> _Panel:
    conventional = [(p, image, stretch(p, image)) for p, image in view.conventional]
    nuclei = [layer for layer in conventional if layer[0] == "DAPI"]
    sparse = [(p, image, stretch_sparse(image)) for p, image in view.superresolution()]

    def drawn(arm: ArmName) -> str:
        if view.labels is None:
            return ""
        return overlay(
            view.labels,
            view.result.nuclei,
            view.result.signals,
            arm,
            pixel_um=pixel_um,
        )

    return _Panel(
        name=view.result.field,
        accepted=accepted,
        found=len(view.result.nuclei),
        flags=view.result.flags,
        conventional_uri=data_uri(composite(conventional, PICTURE_PX)),
        conventional_svg=drawn("conventional"),
        superresolution_uri=data_uri(composite([*nuclei, *sparse], PICTURE_PX))
        if sparse
        else "",
        superresolution_svg=drawn("sr_merged"),
    )


def _arms(result: RunResult) -> list[charts.NamedArm]:
    rows = [
        charts.NamedArm(ARM_TITLES[name], name, arm)
        for name, arm in result.arms.items()
    ]
    if result.truth is not None:
        rows.append(charts.NamedArm("truth: copies", "truth", result.truth.copies))
        rows.append(charts.NamedArm("truth: signals", "truth", result.truth.signals))
    return rows


def _her2_series(
    data: ReportData, results: Sequence[FieldResult]
) -> list[charts.Series]:
    arms: tuple[ArmName, ...] = ("conventional", "sr_merged")
    series = [
        charts.Series(ARM_TITLES[arm], arm, list(_counts(results, arm))) for arm in arms
    ]
    if data.comparison is not None:
        copies = [row.copies["HER2"] for row in data.comparison.nuclei]
        series.append(charts.Series("truth: copies", "truth", copies))
    return series


def _counts(results: Sequence[FieldResult], arm: ArmName) -> Iterator[int]:
    for _, nucleus in scored(results):
        yield nucleus.counts[arm]["HER2"].count


def _rows(
    results: Sequence[FieldResult], *, excluded: bool
) -> list[tuple[str, NucleusCounts]]:
    return [
        (field.field, nucleus)
        for field in results
        for nucleus in field.nuclei
        if nucleus.excluded is excluded
    ]


def _exclusions(results: Sequence[FieldResult]) -> list[tuple[str, int]]:
    tally: dict[str, int] = {}
    for result in results:
        for nucleus in result.nuclei:
            if nucleus.excluded:
                reason = nucleus.exclusion_reason
                tally[reason] = tally.get(reason, 0) + 1
    return sorted(tally.items(), key=lambda item: -item[1])


@dataclass(frozen=True, slots=True)
class _Agreement:
    """Counter against truth, nucleus by nucleus, for one probe."""

    probe: str
    nuclei: int
    exact: int
    within_one: int
    mean_difference: float
    svg: str


def _agreement(
    comparison: Comparison | None, results: Sequence[FieldResult]
) -> list[_Agreement]:
    if comparison is None or not comparison.nuclei:
        return []
    counted = {(r.field, n.nucleus): n.counts for r in results for n in r.nuclei}
    rows = []
    for probe in comparison.nuclei[0].copies:
        pairs = [
            (
                row.copies[probe],
                counted[row.field, row.nucleus]["sr_merged"][probe].count,
            )
            for row in comparison.nuclei
            if (row.field, row.nucleus) in counted
        ]
        if not pairs:
            continue
        gaps = [counted_ - true for true, counted_ in pairs]
        rows.append(
            _Agreement(
                probe=probe,
                nuclei=len(gaps),
                exact=sum(gap == 0 for gap in gaps),
                within_one=sum(abs(gap) <= 1 for gap in gaps),
                mean_difference=sum(gaps) / len(gaps),
                svg=charts.scatter(pairs, f"true {probe} copies", "sr_merged"),
            )
        )
    return rows


def interval(arm: Arm) -> str:
    """Return the sampling interval of an arm's ratio in words."""
    return bounds(arm.ratio_interval_95)
