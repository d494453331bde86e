"""Which nuclei and fields of a cohort are shown, by rule and not by choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from her2sr_proc.offline.cohort_runs import SampleRun
from her2sr_proc.report.crops import Layers, Ring, Scene, Window, window_around
from her2sr_proc.schema.counts import PROBES, NucleusCounts
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.quantities import group_in

MARGIN_UM = 1.5
MOST_CASES = 4


@dataclass(frozen=True, slots=True)
class _View:
    """Where to look, and what is said of it."""

    field: str
    window: Window
    title: str
    captions: tuple[str, str]
    """Conventional, super-resolution."""
    nucleus: int | None = None
    """Signals of this one alone; None: of all that are scored."""


def nucleus_scenes(runs: Sequence[SampleRun], arm: ArmName) -> list[Scene]:
    """Return figure 3: a positive and a negative nucleus; fewer where none is there.

    Of the first sample of each status that has images: the scored nucleus whose HER2
    count in ``arm`` is nearest its sample's mean, the best quality among equals; of
    those with signals of both probes, where there are any.
    """
    scenes = []
    for status in ("positive", "negative"):
        for run in runs:
            scene = _nucleus_scene(run, arm) if run.sample.status == status else None
            if scene is not None:
                scenes.append(scene)
                break
    return scenes


def case_scenes(runs: Sequence[SampleRun], arm: ArmName) -> list[Scene]:
    """Return figure 5: fields of cases that relapsed, or of group 2 where none did.

    Of each the field with the most scored nuclei, four cases at most.
    """
    relapsed = [r for r in runs if r.sample.features.get("follow_up") == "relapse"]
    cases = relapsed or [r for r in runs if group_in(r.sample, arm) == "2"]
    scenes = [_field_scene(run, arm) for run in cases]
    return [scene for scene in scenes if scene is not None][:MOST_CASES]


def _nucleus_scene(run: SampleRun, arm: ArmName) -> Scene | None:
    chosen = _typical(run, arm)
    if chosen is None:
        return None
    field, nucleus = chosen
    labels = run.labels(field)
    if labels is None or not (labels == nucleus.nucleus).any():
        return None
    margin = round(MARGIN_UM / _pixel_um(run))
    window = window_around(labels, nucleus.nucleus, margin)
    view = _View(
        field=field,
        window=window,
        title=f"{run.sample.sample}, HER2-{run.sample.status}, "
        f"{field} nucleus {nucleus.nucleus}",
        captions=(_counts_text(nucleus, "conventional"), _counts_text(nucleus, arm)),
        nucleus=nucleus.nucleus,
    )
    return _scene(run, view, arm)


def _typical(run: SampleRun, arm: ArmName) -> tuple[str, NucleusCounts] | None:
    scored = list(run.scored())
    if not scored:
        return None
    mean = float(np.mean([n.counts[arm]["HER2"].count for _, n in scored]))
    with_both = [
        (field, nucleus)
        for field, nucleus in scored
        if all(nucleus.counts[arm][probe].count for probe in PROBES)
    ]
    return min(
        with_both or scored,
        key=lambda item: (
            abs(item[1].counts[arm]["HER2"].count - mean),
            -item[1].quality,
            item[0],
            item[1].nucleus,
        ),
    )


def _field_scene(run: SampleRun, arm: ArmName) -> Scene | None:
    scored = [field for field, _ in run.scored()]
    if not scored:
        return None
    field = min(set(scored), key=lambda name: (-scored.count(name), name))
    view = _View(
        field=field,
        window=Window(0, run.manifest.frame_height, 0, run.manifest.frame_width),
        title=f"{run.sample.sample}, "
        f"{run.sample.features.get('follow_up', 'follow-up not known')}",
        captions=(_group_text(run, "conventional"), _group_text(run, arm)),
    )
    return _scene(run, view, arm)


def _scene(run: SampleRun, view: _View, arm: ArmName) -> Scene | None:
    field = view.field
    conventional = _layers(run, field, "conventional")
    superresolution = _layers(run, field, "superresolution")
    if not conventional or not superresolution:
        return None
    nuclei = [
        (channel.probe, image)
        for channel in run.manifest.with_role("nuclei")
        if (image := run.image(field, channel.name, "mean")) is not None
    ]
    return Scene(
        title=view.title,
        caption_conventional=f"conventional: {view.captions[0]}",
        caption_superresolution=f"super-resolution: {view.captions[1]}",
        conventional=[*nuclei, *conventional],
        superresolution=superresolution,
        rings_conventional=_rings(run, view, "conventional"),
        rings_superresolution=_rings(run, view, arm),
        window=view.window,
        pixel_um=_pixel_um(run),
    )


def _rings(run: SampleRun, view: _View, arm: ArmName) -> tuple[Ring, ...]:
    """Return the counted signals of the scored nuclei that are shown."""
    shown = {
        nucleus.nucleus
        for field, nucleus in run.scored()
        if field == view.field and view.nucleus in (None, nucleus.nucleus)
    }
    return tuple(
        Ring(mark.probe, mark.y_px, mark.x_px)
        for field in run.fields
        if field.field == view.field
        for mark in field.signals
        if mark.arm == arm and mark.nucleus in shown
    )


def _layers(run: SampleRun, field: str, kind: str) -> Layers:
    return [
        (channel.probe, image)
        for channel in run.manifest.with_role("signal")
        if channel.probe in PROBES
        and (image := run.image(field, channel.name, kind)) is not None
    ]


def _counts_text(nucleus: NucleusCounts, arm: ArmName) -> str:
    counts = nucleus.counts[arm]
    return f"{counts['HER2'].count} HER2, {counts['CEP17'].count} CEP17"


def _group_text(run: SampleRun, arm: ArmName) -> str:
    group = group_in(run.sample, arm)
    if group is None:
        return "group not known"
    return "unevaluable" if group == "unevaluable" else f"group {group}"


def _pixel_um(run: SampleRun) -> float:
    return run.manifest.camera.pixel_nm / 1000.0
