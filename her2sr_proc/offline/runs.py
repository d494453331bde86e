"""The whole run: fields -> counts, arms, truth beside them, report."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from her2sr_proc.comparison import Comparison, CountedField, compare
from her2sr_proc.errors import DataError
from her2sr_proc.nuclei import outline
from her2sr_proc.offline.accounting import account
from her2sr_proc.offline.casefile import read_case
from her2sr_proc.offline.conditions import conditions_of
from her2sr_proc.offline.entering import apart_fields
from her2sr_proc.offline.flags import run_flags
from her2sr_proc.offline.motion import motions_of, stacks_of
from her2sr_proc.offline.settling import (
    Scales,
    cluster_flags,
    evidence_of,
    run_scales,
    settle,
)
from her2sr_proc.report.page import FieldView, ReportData, render
from her2sr_proc.schema.counts import (
    PROBES,
    FieldResult,
    NucleusCounts,
    Probe,
    ProbeCount,
)
from her2sr_proc.schema.manifest import FieldFacts, Manifest
from her2sr_proc.schema.results import ARMS, ArmName, RunResult
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import Assessed, Origin, assess
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.gathering import gather, with_resolution
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.counts_table import parse_rows, stems_of
from her2sr_proc.store.geojson import Mosaic, OutlinedNucleus, write_nuclei
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import (
    count_rows,
    read_field,
    write_counts,
    write_field,
    write_result,
)
from her2sr_proc.store.truth import read_truth
from her2sr_proc.versions import versions

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


def close_run(run: RunFolder) -> RunResult:
    """Answer for a run from the results of its fields, however many there are.

    Writes counts, outlines, report and, last of all, ``result.json``.
    """
    manifest = read_manifest(run)
    case = read_case(run.case)
    scales = _settle_all(run, manifest)
    fields = read_fields(run, manifest)
    results = [result for _, result in fields]
    comparison = _compare(run, manifest, fields)
    params = manifest.profile.score
    assessed = {arm: _score(case, results, arm, manifest, params) for arm in ARMS}
    arms = {arm: one.arm for arm, one in assessed.items()}
    headline = manifest.profile.headline
    accounting = account(run, manifest)
    result = RunResult(
        run=manifest.run,
        arms=arms,
        headline=headline,
        channel_map={c.name: c.probe for c in manifest.channels},
        profile=manifest.profile.name,
        profile_digest=manifest.profile.digest,
        denoised_by=manifest.denoised_by,
        accounting=accounting,
        apart=apart_fields(manifest, results, accounting, headline),
        stopped_early=manifest.stopped_early,
        flags=(
            *run_flags(manifest, results, assessed[headline], accounting),
            *cluster_flags(results, scales),
            *(f"regions were marked by {who}" for who in sorted(set(case.marked_by))),
            *_changes(case),
            *_sights(case),
        ),
        assessment=assessed[headline].assessment,
        truth=comparison.truth if comparison else None,
    )
    write_counts(run, results)
    _write_outlines(run, manifest, fields)
    _write_report(run, manifest, result, fields, comparison)
    write_result(run, result)
    return result


def _settle_all(run: RunFolder, manifest: Manifest) -> Scales:
    """Count every field by the run's own scales; its file says the same after."""
    params = manifest.profile.count
    found = [read_field(run, facts.name) for facts in manifest.fields]
    fields = [field for field in found if field is not None]
    scales = run_scales(fields, params)
    for field in fields:
        again = settle(field, scales, params)
        if again != field:
            write_field(run, again)
    return scales


def read_fields(
    run: RunFolder, manifest: Manifest
) -> list[tuple[FieldFacts, FieldResult]]:
    """Return every field that was counted, its nuclei with the regions of the case."""
    case = read_case(run.case)
    return [
        (facts, with_review(found, case))
        for facts in manifest.fields
        if (found := read_field(run, facts.name)) is not None
    ]


def score_run(run: RunFolder, arm: ArmName, params: ScoreParams) -> Assessed:
    """Return what an arm of a counted run says under other limits; write nothing."""
    manifest = read_manifest(run)
    results = [result for _, result in read_fields(run, manifest)]
    return _score(read_case(run.case), results, arm, manifest, params)


def comparison_of(run: RunFolder) -> Comparison | None:
    """Return the simulated truth beside the counts of a run; None without a truth."""
    manifest = read_manifest(run)
    return _compare(run, manifest, read_fields(run, manifest))


def counted_fields(run: RunFolder, manifest: Manifest) -> list[CountedField]:
    """Return the fields of a run in which nuclei were sought, with their labels."""
    return _counted(run, manifest, read_fields(run, manifest))


def _sights(case: Case) -> list[str]:
    """Return a sentence where counts were read before a review that was made."""
    early = [one for one in case.sights if one.is_before_review]
    if not early or not case.is_begun:
        return []
    who = ", ".join(dict.fromkeys(one.by for one in early))
    return [f"counts were shown before the review began, to {who}"]


def _changes(case: Case) -> list[str]:
    """Return a sentence where people changed what the machine counted."""
    who = sorted({said.by for said in case.edits.values()})
    if not who:
        return []
    return [f"{len(case.edits)} nuclei were changed by hand, by {', '.join(who)}"]


def with_review(result: FieldResult, case: Case) -> FieldResult:
    """Return a field whose nuclei carry what people marked and changed.

    The machine's own values stay in the field's result on disk, and in the record.
    """
    nuclei = tuple(
        _reviewed(
            nucleus,
            f"{result.field}/{nucleus.nucleus}",
            case,
            is_apart=bool(result.apart),
        )
        for nucleus in result.nuclei
    )
    return result.model_copy(update={"nuclei": nuclei})


def _reviewed(
    nucleus: NucleusCounts, key: str, case: Case, *, is_apart: bool
) -> NucleusCounts:
    changes: dict[str, object] = {"region": case.marks.get(key, nucleus.region)}
    # Nobody lets a nucleus in whose field may not enter the ratio.
    said = case.edits.get(key)
    if said is not None and said.is_excluded is not None and not is_apart:
        reason = f"{said.by}: {said.reason}" if said.is_excluded else ""
        changes |= {"excluded": said.is_excluded, "exclusion_reason": reason}
    if said is not None:
        changes["counts"] = {
            arm: _by_hand(said.counts[arm]) if arm in said.counts else probes
            for arm, probes in nucleus.counts.items()
        }
    return nucleus.model_copy(update=changes)


def _by_hand(counts: tuple[int, int]) -> dict[Probe, ProbeCount]:
    return {
        probe: ProbeCount(count=count, low=count, high=count)
        for probe, count in zip(PROBES, counts, strict=True)
    }


def _score(
    case: Case,
    results: list[FieldResult],
    arm: ArmName,
    manifest: Manifest,
    params: ScoreParams,
) -> Assessed:
    rows = tuple(parse_rows(count_rows(results), stems_of(arm), manifest.run))
    return assess(
        gather(
            rows,
            areas=case.areas,
            centres={f.name: (f.x_um, f.y_um) for f in manifest.fields},
        ),
        params=params,
        generator=np.random.default_rng(params.seed),
        origin=Origin(
            evidence=with_resolution(rows, evidence_of(results)),
            stopped_by_width=manifest.stopped_early is not None
            and manifest.stopped_early.interval_width is not None,
        ),
    )


def _compare(
    run: RunFolder, manifest: Manifest, fields: list[tuple[FieldFacts, FieldResult]]
) -> Comparison | None:
    specimen = read_truth(run.simulated_truth)
    if specimen is None:
        return None
    counted = _counted(run, manifest, fields)
    return compare(specimen, counted, params=manifest.profile.score)


def _counted(
    run: RunFolder, manifest: Manifest, fields: list[tuple[FieldFacts, FieldResult]]
) -> list[CountedField]:
    return [
        CountedField(result, labels, facts.x_um, facts.y_um, _pixel_um(manifest))
        for facts, result in fields
        if (labels := _labels(run, facts.name)) is not None
    ]


def _write_outlines(
    run: RunFolder, manifest: Manifest, fields: list[tuple[FieldFacts, FieldResult]]
) -> None:
    pixel_um = _pixel_um(manifest)
    half = np.array([manifest.frame_height - 1, manifest.frame_width - 1]) / 2
    nuclei = []
    for facts, result in fields:
        labels = _labels(run, facts.name)
        if labels is None:
            continue
        centre = np.array([facts.y_um, facts.x_um])
        nuclei += [
            OutlinedNucleus(
                facts.name,
                counts,
                (outline(labels, counts.nucleus) - half) * pixel_um + centre,
            )
            for counts in result.nuclei
        ]
    mosaic = Mosaic(
        x_um=min(f.x_um for f in manifest.fields) - half[1] * pixel_um,
        y_um=min(f.y_um for f in manifest.fields) - half[0] * pixel_um,
        pixel_um=pixel_um,
    )
    write_nuclei(run.nuclei_geojson, nuclei, mosaic)


def _write_report(
    run: RunFolder,
    manifest: Manifest,
    result: RunResult,
    fields: list[tuple[FieldFacts, FieldResult]],
    comparison: Comparison | None,
) -> None:
    data = ReportData(
        manifest=manifest,
        result=result,
        fields=[partial(_view, run, manifest, *field) for field in fields],
        comparison=comparison,
        made_with=versions(),
        conditions=conditions_of(run, manifest, [found for _, found in fields]),
        motions=motions_of(run, manifest, [found for _, found in fields]),
        stacks=stacks_of(run, manifest),
    )
    write_text(run.report, render(data))


def _view(
    run: RunFolder, manifest: Manifest, facts: FieldFacts, result: FieldResult
) -> FieldView:
    names = [c.name for c in manifest.channels]
    by_role = sorted(names, key=lambda n: manifest.channel(n).role != "nuclei")
    kinds = {"nuclei": "mean", "signal": "conventional"}

    def layers(kind: str | None) -> list[tuple[str, F32]]:
        found = []
        for name in by_role:
            channel = manifest.channel(name)
            wanted = kind or kinds[channel.role]
            image = _image(run, facts.name, name, wanted)
            if image is not None and (kind is None or channel.role == "signal"):
                found.append((channel.probe, image))
        return found

    return FieldView(
        result=result,
        x_um=facts.x_um,
        y_um=facts.y_um,
        labels=_labels(run, facts.name),
        conventional=layers(None),
        superresolution=partial(layers, "superresolution"),
    )


def _image(run: RunFolder, field: str, channel: str, kind: str) -> F32 | None:
    try:
        return np.asarray(read_tiff(run.image(field, channel, kind)), np.float32)
    except DataError:  # not computed, for want of frames: flagged in the result
        return None


def _labels(run: RunFolder, field: str) -> I32 | None:
    try:
        return np.asarray(read_tiff(run.labels(field)), np.int32)
    except DataError:  # no DAPI in this field: flagged in the result
        return None


def _pixel_um(manifest: Manifest) -> float:
    return manifest.camera.pixel_nm / 1000.0
