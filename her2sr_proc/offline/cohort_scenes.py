"""Which nuclei and fields of a cohort are shown, by rule and not by choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2sr_proc.offline.cohort_runs import SampleRun
from her2sr_proc.report.crops import Layers, Scene, Window, window_around
from her2sr_proc.schema.counts import NucleusCounts
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.quantities import group_in

MARGIN_UM = 1.5
MOST_CASES = 4
PROBES_SHOWN = ("HER2", "CEP17")


def nucleus_scenes(runs: Sequence[SampleRun], arm: ArmName) -> list[Scene]:
    """Return figure 3: a positive and a negative nucleus; fewer where none is there.

    Of the first sample of each status that has images: the scored nucleus whose HER2
    count in ``arm`` is nearest its sample's mean, the best quality among equals.
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
    counts = {name: _counts_text(nucleus, name) for name in ("conventional", arm)}
    title = f"{run.sample.sample}, HER2-{run.sample.status}, nucleus {nucleus.nucleus}"
    return _scene(run, field, window, title, (counts["conventional"], counts[arm]))


def _typical(run: SampleRun, arm: ArmName) -> tuple[str, NucleusCounts] | None:
    scored = list(run.scored())
    if not scored:
        return None
    mean = float(np.mean([n.counts[arm]["HER2"].count for _, n in scored]))
    return min(
        scored,
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
    window = Window(0, run.manifest.frame_height, 0, run.manifest.frame_width)
    texts = tuple(_group_text(run, name) for name in ("conventional", arm))
    title = (
        f"{run.sample.sample}, {run.sample.features.get('follow_up', 'no follow-up')}"
    )
    return _scene(run, field, window, title, (texts[0], texts[1]))


def _scene(
    run: SampleRun, field: str, window: Window, title: str, captions: tuple[str, str]
) -> Scene | None:
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
        title=title,
        caption_conventional=f"conventional: {captions[0]}",
        caption_superresolution=f"super-resolution: {captions[1]}",
        conventional=[*nuclei, *conventional],
        superresolution=superresolution,
        window=window,
        pixel_um=_pixel_um(run),
    )


def _layers(run: SampleRun, field: str, kind: str) -> Layers:
    return [
        (channel.probe, image)
        for channel in run.manifest.with_role("signal")
        if channel.probe in PROBES_SHOWN
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
