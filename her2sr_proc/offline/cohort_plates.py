"""The figures of a cohort, numbered as the paper's, each with what it shows."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from her2sr_proc.errors import RequestError
from her2sr_proc.offline.cohort_runs import SampleRun
from her2sr_proc.offline.cohort_scenes import case_scenes, nucleus_scenes
from her2sr_proc.report import plots
from her2sr_proc.report.cohort_page import Plate
from her2sr_proc.report.crops import Scene, side_by_side
from her2sr_proc.report.pictures import GAMMA
from her2sr_proc.schema.cohort import FEATURES, Cohort, ObserverRow, ThresholdRow
from her2sr_proc.schema.results import ArmName
from her2sr_proc.statistics.agreement import bland_altman
from her2sr_proc.statistics.arms import value_pairs
from her2sr_proc.statistics.formats import fixed
from her2sr_proc.statistics.observers import count_pairs, observers_of
from her2sr_proc.statistics.quantities import (
    ARM_TITLES,
    HER2_PER_NUCLEUS,
    value_of,
)
from her2sr_proc.statistics.regression import threshold_line

NUCLEUS_BAR_UM = 2.0
FIELD_BAR_UM = 10.0
"""Scale bars of the paper's figures 3 and 5."""
COLOURS = (
    "HER2 red, CEP17 green, DAPI blue, dimmed. Conventional: the mean of the first "
    "frames; super-resolution: localizations at their uncertainty. Rings: signals "
    "counted in scored nuclei; one without a localization was counted from light that "
    f"fluctuates. Each panel on its own scale, gamma {GAMMA}."
)
OBSERVERS_KEY = "observers_bland_altman"
UNKNOWN = "?"
LEAST_EVIDENCE = 0.95
"""Of R², below which the paper's own claim for its line does not hold."""


def threshold_plate(rows: Sequence[ThresholdRow]) -> Plate:
    """Return figure 2: background thresholds on mean and SD of their images."""
    title = "Background threshold by linear regression"
    if not rows:
        return _absent(
            "figure2",
            title,
            "No thresholds were given: name a CSV of mean_adu, sd_adu and "
            "threshold_adu with --thresholds.",
        )
    mean, sd = [r.mean_adu for r in rows], [r.sd_adu for r in rows]
    try:
        line = threshold_line(mean, sd, [r.threshold_adu for r in rows])
    except RequestError as exc:
        return _absent("figure2", title, f"No line could be fitted: {exc}.")
    caption = (
        f"{len(rows)} images; threshold = {fixed(line.intercept_adu, 2)} + "
        f"{fixed(line.mean_factor, 3)} × mean + {fixed(line.sd_factor, 3)} × SD, "
        f"ordinary least squares; R² = {fixed(line.r_squared, 4)}, rms error of each "
        f"image by a line through the others "
        f"{fixed(line.left_out_rmse_adu, 2)} ADU. "
    )
    if line.is_formula:
        caption += (
            "Mean and SD give every threshold without a rest: they were computed from "
            "them, and the correlation is no evidence that they are good ones."
        )
    elif line.r_squared < LEAST_EVIDENCE:
        caption += "R² is below 0.95: the line does not stand in for a choice by eye."
    records: list[tuple[str, ...]] = [
        ("label", "mean_adu", "sd_adu", "threshold_adu", "line_adu")
    ]
    for row, fitted in zip(rows, line.fitted_adu, strict=True):
        numbers = (row.mean_adu, row.sd_adu, row.threshold_adu, float(fitted))
        records.append((row.label, *(f"{v:.6f}" for v in numbers)))
    return _drawn(
        "figure2", title, caption, plots.threshold_plot(rows, line.fitted_adu), records
    )


def dot_plate(cohort: Cohort, arm: ArmName) -> Plate:
    """Return figure 4: HER2 signals per nucleus by IHC, both arms."""
    title = "HER2 signals per nucleus by immunohistochemistry"
    dots = []
    for sample in cohort.samples:
        first = value_of(sample, "conventional", HER2_PER_NUCLEUS)
        second = value_of(sample, arm, HER2_PER_NUCLEUS)
        ihc = str(sample.features.get("ihc", UNKNOWN))
        dots.append(plots.Dot(sample.sample, ihc, first, second))
    shown = [
        d for d in dots if d.conventional is not None or d.superresolution is not None
    ]
    if not shown:
        return _absent(
            "figure4",
            title,
            "No sample has HER2 signals per nucleus: add the columns of counts, such "
            "as her2_sr_signals and her2_sr_nuclei.",
        )
    names = next(f for f in FEATURES if f.name == "ihc")
    every = [
        *zip(names.levels, names.level_titles, strict=True),
        (UNKNOWN, "not known"),
    ]
    used = {dot.category for dot in shown}
    lacking = len(dots) - sum(d.conventional is not None for d in dots)
    caption = (
        "Each sample stands twice, joined by a line; dashed lines at 4 and 6 signals "
        "per nucleus. Signals over all nuclei counted, or over those with signals "
        "where only they are told."
    )
    if lacking:
        caption += f" {lacking} samples have no conventional value."
    figure = plots.dot_plot(shown, [c for c in every if c[0] in used], ARM_TITLES[arm])
    records: list[tuple[str, ...]] = [
        ("sample", "ihc", "her2_per_nucleus_conventional", f"her2_per_nucleus_{arm}")
    ]
    for dot in shown:
        values = (dot.conventional, dot.superresolution)
        cells = ("" if v is None else f"{v:.4f}" for v in values)
        records.append((dot.sample, dot.category, *cells))
    return _drawn("figure4", title, caption, figure, records)


def agreement_plate(cohort: Cohort, arm: ArmName) -> Plate:
    """Return the Bland-Altman plot of HER2 signals per nucleus."""
    title = "Agreement of the arms: HER2 signals per nucleus"
    pairs = value_pairs(cohort, arm, HER2_PER_NUCLEUS)
    if len(pairs) < 2:
        return _absent(
            "bland_altman",
            title,
            f"{len(pairs)} samples have a value in both arms, and 2 are needed.",
        )
    labels = (
        f"{HER2_PER_NUCLEUS.title}: mean of both arms",
        "super-resolution \N{MINUS SIGN} conventional",
    )
    return _bland_altman("bland_altman", title, pairs, ("conventional", arm), labels)


def observer_plate(rows: Sequence[ObserverRow]) -> Plate:
    """Return the Bland-Altman plot of HER2 counts of the first two observers."""
    first, second = observers_of(rows)[:2]
    title = f"Agreement of observers: HER2 signals, {first} and {second}"
    pairs = count_pairs(rows, "her2", first, second)
    if len(pairs) < 2:
        return _absent(
            OBSERVERS_KEY,
            title,
            f"{len(pairs)} cases have a HER2 count of both, and 2 are needed.",
        )
    labels = (
        "HER2 signals: mean of both observers",
        f"{second} \N{MINUS SIGN} {first}",
    )
    return _bland_altman(OBSERVERS_KEY, title, pairs, (first, second), labels)


def _bland_altman(
    key: str,
    title: str,
    pairs: Sequence[tuple[str, float, float]],
    names: tuple[str, str],
    labels: tuple[str, str],
) -> Plate:
    found = bland_altman([a for _, a, _ in pairs], [b for _, _, b in pairs])
    figure = plots.bland_altman_plot(pairs, found, *labels)
    caption = (
        "Bland-Altman: solid the mean difference, dashed the limits of agreement, "
        "shaded their 95 % intervals; larger points are several cases."
    )
    records: list[tuple[str, ...]] = [("case", *names, "mean", "difference")]
    for name, a, b in pairs:
        records.append((name, *(f"{v:.4f}" for v in (a, b, (a + b) / 2, b - a))))
    return _drawn(key, title, caption, figure, records)


def nucleus_plate(runs: Sequence[SampleRun], arm: ArmName) -> Plate:
    """Return figure 3: one nucleus of a positive and of a negative sample."""
    title = "Conventional and super-resolution images of a nucleus"
    scenes = nucleus_scenes(runs, arm)
    caption = (
        f"{COLOURS} Of the first sample of each status with images: the nucleus whose "
        f"HER2 count in the super-resolution arm is nearest its sample's mean, among "
        f"those with signals of both probes. Scale bar {NUCLEUS_BAR_UM:g} µm."
    )
    return _pictured("figure3", title, caption, scenes, NUCLEUS_BAR_UM)


def case_plate(runs: Sequence[SampleRun], arm: ArmName) -> Plate:
    """Return figure 5: fields of cases that relapsed."""
    title = "Cases that relapsed, or of group 2"
    scenes = case_scenes(runs, arm)
    caption = (
        f"{COLOURS} Samples whose follow-up is a relapse; where none is, those of "
        f"group 2 by super-resolution. Of each the field with the most scored nuclei. "
        f"Scale bar {FIELD_BAR_UM:g} µm."
    )
    return _pictured("figure5", title, caption, scenes, FIELD_BAR_UM)


def _pictured(
    key: str, title: str, caption: str, scenes: list[Scene], bar_um: float
) -> Plate:
    if not scenes:
        return _absent(
            key,
            title,
            "No run folder of such a sample has images: name processed runs in the "
            "column 'run'.",
        )
    figure = side_by_side(scenes, bar_um, in_columns=key == "figure3")
    records: list[tuple[str, ...]] = [("panel", "conventional", "superresolution")]
    for scene in scenes:
        captions = (scene.caption_conventional, scene.caption_superresolution)
        records.append((scene.title, *captions))
    return _drawn(key, title, caption, figure, records, is_picture=True)


def _absent(key: str, title: str, missing: str) -> Plate:
    return Plate(key=key, title=title, caption="", missing=missing)


def _drawn(
    key: str,
    title: str,
    caption: str,
    figure: Figure,
    records: Sequence[tuple[str, ...]],
    *,
    is_picture: bool = False,
) -> Plate:
    return Plate(
        key=key,
        title=title,
        caption=caption,
        svg=plots.save(figure, "svg"),
        png=plots.save(figure, "png"),
        is_picture=is_picture,
        records=tuple(records),
    )
