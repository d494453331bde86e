"""Light, focus, ensemble phase and crosstalk of a run, from what its folder tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from her2sr_proc.report.conditions import (
    Conditions,
    Crosstalk,
    Focus,
    LightDose,
    Phase,
)
from her2sr_proc.schema.counts import FieldResult
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import numbered_lines

Record = dict[str, Any]


def conditions_of(
    run: RunFolder, manifest: Manifest, results: Sequence[FieldResult]
) -> Conditions:
    """Return what is known of the conditions of a run.

    Never raises for a run without such records: older runs, and imported movies, have
    none.
    """
    return Conditions(
        doses=tuple(_doses(run)),
        is_dose_of_bursts_alone=not run.dose.exists(),
        focus=_focus(run, manifest),
        phases=tuple(_phases(manifest, results)),
        crosstalk=_crosstalk(results),
    )


def _doses(run: RunFolder) -> Iterator[LightDose]:
    """Sum exposures by line, purpose and power, in order of wavelength."""
    exposures = _recorded(run) if run.dose.exists() else _noted(run)
    sums: dict[tuple[int, str, float], list[tuple[str, float, int]]] = {}
    for nm, purpose, power, field, lit_s, frames in exposures:
        sums.setdefault((nm, purpose, power), []).append((field, lit_s, frames))
    for (nm, purpose, power), parts in sorted(sums.items()):
        by_field: dict[str, float] = {}
        for field, lit_s, _ in parts:
            by_field[field] = by_field.get(field, 0.0) + lit_s
        yield LightDose(
            nm=nm,
            purpose=purpose,
            power_percent=power,
            exposures=len(parts),
            frames=sum(frames for _, _, frames in parts),
            lit_s=sum(by_field.values()),
            most_lit_s=max(by_field.values()),
        )


Exposure = tuple[int, str, float, str, float, int]


def _recorded(run: RunFolder) -> Iterator[Exposure]:
    """Yield the lines of ``dose.jsonl``."""
    for one in _records(run.dose):
        try:
            yield (
                int(one["nm"]),
                str(one["purpose"]),
                float(one["power_percent"]),
                str(one["field"]),
                float(one["light_s"]),
                int(one["frames"]),
            )
        except (KeyError, TypeError, ValueError):  # of another version
            continue


def _noted(run: RunFolder) -> Iterator[Exposure]:
    """Yield the light of every burst from the events, which name its unit before."""
    field = ""
    for one in _records(run.events, having='"kind":"'):
        data = one.get("data")
        if not isinstance(data, dict):
            continue
        if one.get("kind") == "unit started" and isinstance(data.get("unit"), dict):
            field = str(data["unit"].get("field", ""))
        elif one.get("kind") == "light":
            try:
                yield (
                    int(data["nm"]),
                    "burst",
                    float(data["power_percent"]),
                    field,
                    float(data["lit_s"]),
                    int(data["frames"]),
                )
            except (KeyError, TypeError, ValueError):  # of another version
                continue


def _focus(run: RunFolder, manifest: Manifest) -> Focus | None:
    asked = manifest.plan.get("focus")
    method = str(asked.get("method", "")) if isinstance(asked, dict) else ""
    records = [
        one["focus"]
        for one in _records(run.ledger, having='"focus"')
        if isinstance(one.get("focus"), dict)
    ]
    drifts = [
        abs(float(one["z_end_um"]) - float(one["z_um"]))
        for one in records
        if isinstance(one.get("z_um"), int | float)
        and isinstance(one.get("z_end_um"), int | float)
    ]
    if not (method or records):
        return None
    return Focus(
        method=method or str(records[0].get("method", "not known")),
        units=len(records),
        largest_drift_um=max(drifts) if drifts else None,
        lost=sum(one.get("lost_at_frame") is not None for one in records),
    )


def _phases(manifest: Manifest, results: Sequence[FieldResult]) -> Iterator[Phase]:
    """Yield the ensemble phase of every signal channel, where fields carry one."""
    for channel in manifest.with_role("signal"):
        found = [
            phase
            for result in results
            if (phase := getattr(result, "ensemble", {}).get(channel.name)) is not None
        ]
        if not found:
            continue
        ends = [(p.end, p.frames) for p in found if p.end is not None and p.frames]
        yield Phase(
            channel=channel.name,
            fields=len(ends),
            ensemble_share=float(np.median([min(1.0, e / n) for e, n in ends]))
            if ends
            else None,
            ensemble_frames=float(np.median([e for e, _ in ends])) if ends else None,
            unknown=tuple(sorted({p.reason for p in found if p.end is None})),
        )


def _crosstalk(results: Sequence[FieldResult]) -> Crosstalk | None:
    """Return coincident signals beyond chance, where fields carry their staining."""
    found = [
        staining
        for result in results
        if (staining := getattr(result, "staining", None)) is not None
    ]
    if not found:
        return None
    probes = {probe for staining in found for probe in staining.signals}
    totals = [sum(s.signals.get(probe, 0) for s in found) for probe in probes]
    rarer = min(totals, default=0)
    coincident = sum(s.coincident for s in found)
    by_chance = float(sum(s.by_chance for s in found))
    if rarer == 0:
        return None
    return Crosstalk(
        share=max(0.0, (coincident - by_chance) / rarer),
        coincident=coincident,
        by_chance=by_chance,
        signals=rarer,
    )


def _records(path: Path, having: str = "") -> Iterator[Record]:
    """Yield lines that are JSON objects; a line that is none is passed over."""
    for _, text in numbered_lines(path, having=having):
        try:
            one = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(one, dict):
            yield one
