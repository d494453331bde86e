"""One field: its units' tables and images -> nuclei, and signals in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.arms import ChannelEvidence, owners_of
from her2sr_proc.counting import FieldCounts, count_field
from her2sr_proc.errors import DataError, StateError
from her2sr_proc.nuclei import Nucleus, describe
from her2sr_proc.offline.axial import with_axial_drift
from her2sr_proc.offline.entering import apart_reasons, cleaned_reasons
from her2sr_proc.offline.geometry import measure, transform_of
from her2sr_proc.offline.phases import nucleus_phases, phase_of, sparse_of
from her2sr_proc.offline.units import close_unit
from her2sr_proc.registration import moved_image
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.counts import (
    PROBES,
    EnsemblePhase,
    FieldGeometry,
    FieldResult,
    NucleusCounts,
)
from her2sr_proc.schema.manifest import FieldFacts, Manifest
from her2sr_proc.schema.table import Localizations
from her2sr_proc.segmentation.choice import Segmentation, segment
from her2sr_proc.signals import Fluctuation
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.images import read_tiff, write_tiff
from her2sr_proc.store.layout import FLUCTUATIONS, RunFolder
from her2sr_proc.store.ledger import UnitHistory, counted_attempts, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.noise import read_noise
from her2sr_proc.store.results import read_field, write_field
from her2sr_proc.store.tables import read_parquet, read_parquet_metadata

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
Phases = dict[str, EnsemblePhase]
"""By channel."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One field with all that its steps ask for."""

    run: RunFolder
    manifest: Manifest
    facts: FieldFacts
    histories: dict[UnitKey, UnitHistory]
    attempts: dict[str, UnitKey]

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def pixel_um(self) -> float:
        return self.manifest.camera.pixel_nm / 1000.0


def close_field(run: RunFolder, field: str, *, watch: Stopwatch | None = None) -> None:
    """Find the nuclei of a field, count their signals, write labels and result.

    What is missing makes a flagged result, not a failure: without DAPI there are no
    nuclei, and nuclei without enough frames of a probe are excluded. ``watch`` is told
    how long every step takes.
    """
    watch = watch or Stopwatch()
    view = _view(run, field)
    for key in view.attempts.values():
        close_unit(run, key, watch=watch)
    flags = [*_missing(view), *(f"apart: {reason}" for reason in _apart(view))]
    with watch.step("drift"):
        lie, moved = measure(view.manifest, _tables(view))
    lie = with_axial_drift(lie, view.manifest, _answering(view))
    flags += moved
    dapi = _nuclei_image(view)
    if dapi is None:
        write_field(run, _result(view, (), None, flags, lie))
        return
    with watch.step("nuclei"):
        found = segment(
            dapi, pixel_um=view.pixel_um, params=view.manifest.profile.nuclei
        )
        nuclei = _described(view, found.labels, dapi)
    if not nuclei:
        flags.append("no nucleus was found")
    if found.fallback_reason:
        flags.append(f"nuclei by the classical watershed: {found.fallback_reason}")
    write_tiff(run.labels(field), found.labels, pixel_nm=view.pixel_um * 1000.0)
    with watch.step("count"):
        rows, counts = _counted(view, found.labels, nuclei)
    write_field(run, _result(view, rows, counts, [*flags, *counts.flags], lie, found))


def count_labels(run: RunFolder, field: str, labels: I32, source: str) -> FieldResult:
    """Return what a computed field counts in other nuclei than its own; write nothing.

    Parameters
    ----------
    run : RunFolder
    field : str
        One that was computed, with an image of nuclei.
    labels : int32 array, shape (height, width)
        Nuclei from 1; 0 is background.
    source : str
        Where they are from: named in the result.

    Raises `StateError` where the field was not computed.
    """
    view = _view(run, field)
    former, dapi = read_field(run, field), _nuclei_image(view)
    if former is None or dapi is None:
        what = "was not computed yet" if former is None else "has no image of nuclei"
        raise StateError(f"field {field} of {run.name} {what}; `her2sr process` it")
    nuclei = _described(view, labels, dapi)
    rows, counts = _counted(view, labels, nuclei)
    flags = [*_missing(view), *(f"apart: {reason}" for reason in _apart(view))]
    lie = former.geometry or FieldGeometry()
    found = Segmentation(labels, source)
    return _result(view, rows, counts, [*flags, *counts.flags], lie, found)


def _view(run: RunFolder, field: str) -> _Field:
    manifest = read_manifest(run)
    histories = read_ledger(run.ledger, field=field)
    facts = next(f for f in manifest.fields if f.name == field)
    attempts = counted_attempts(manifest, histories, field)
    return _Field(run, manifest, facts, histories, attempts)


def _described(view: _Field, labels: I32, dapi: F32) -> list[Nucleus]:
    params = view.manifest.profile.nuclei
    return list(describe(labels, dapi, pixel_um=view.pixel_um, params=params))


def _counted(
    view: _Field, labels: I32, nuclei: Sequence[Nucleus]
) -> tuple[tuple[NucleusCounts, ...], FieldCounts]:
    phases = _nuclei_phases(view, labels)
    counts = count_field(
        labels,
        _evidence(view),
        pixel_nm=view.pixel_um * 1000.0,
        params=view.manifest.profile.count,
    )
    rows = tuple(
        _nucleus(view, nucleus, counts, phases.get(nucleus.label, {}))
        for nucleus in nuclei
    )
    return rows, counts


def _evidence(view: _Field) -> list[ChannelEvidence]:
    """Return what there is of each probe; a channel that cannot be read is absent."""
    found = []
    for channel in view.manifest.with_role("signal"):
        key = view.attempts.get(channel.name)
        image = _image(view, channel.name, "conventional")
        fine, coarse = (_image(view, channel.name, kind) for kind in FLUCTUATIONS)
        probe = next((probe for probe in PROBES if probe == channel.probe), None)
        if key is None or image is None or fine is None or coarse is None:
            continue
        if probe is None:
            continue
        table, said = read_parquet(view.run.table(key))
        sparse = sparse_of(table, phase_of(said), view.manifest.profile.count)
        found.append(
            ChannelEvidence(
                probe,
                table,
                image,
                Fluctuation(fine, coarse),
                sparse,
                transform_of(view.manifest, channel.name),
            )
        )
    return found


def _unit_phases(view: _Field) -> Phases:
    """Return where the ensemble phase of each unit ends, as its table says."""
    found = {}
    for channel in view.manifest.with_role("signal"):
        key = view.attempts.get(channel.name)
        if key is not None and view.run.table(key).exists():
            phase = phase_of(read_parquet_metadata(view.run.table(key)))
            if phase is not None:
                found[channel.name] = phase
    return found


def _nuclei_phases(view: _Field, labels: I32) -> dict[int, Phases]:
    """Return the same for every nucleus, by its label."""
    pixel_nm, profile = view.manifest.camera.pixel_nm, view.manifest.profile
    owners = owners_of(labels, pixel_nm=pixel_nm, params=profile.count)
    found: dict[int, Phases] = {}
    for name, unit in _unit_phases(view).items():
        table, _ = read_parquet(view.run.table(view.attempts[name]))
        phases = nucleus_phases(table, owners, unit, pixel_nm=pixel_nm, profile=profile)
        for label, phase in phases.items():
            found.setdefault(label, {})[name] = phase
    return found


def _phase_flags(phases: Phases) -> list[str]:
    return [
        f"{name}: no end of the ensemble phase in {phase.frames} frames "
        f"({phase.reason}): its localizations are middles of blobs"
        for name, phase in phases.items()
        if phase.end is None
    ]


def _nuclei_image(view: _Field) -> F32 | None:
    for channel in view.manifest.with_role("nuclei"):
        image = _image(view, channel.name, "mean")
        if image is not None:
            # nuclei stand in the frame of the reference colour, as signals do
            return moved_image(
                image,
                transform_of(view.manifest, channel.name),
                pixel_nm=view.manifest.camera.pixel_nm,
            )
    return None


def _tables(view: _Field) -> dict[str, Localizations]:
    """Return the table of every signal channel that has one."""
    keys = {
        c.name: view.attempts.get(c.name) for c in view.manifest.with_role("signal")
    }
    return {
        name: read_parquet(view.run.table(key))[0]
        for name, key in keys.items()
        if key is not None and view.run.table(key).is_file()
    }


def _image(view: _Field, channel: str, kind: str) -> F32 | None:
    if channel not in view.attempts:
        return None
    path = view.run.image(view.name, channel, kind)
    try:
        return np.asarray(read_tiff(path), np.float32)
    except DataError:  # its blocks cannot be read: flagged by what is missing
        return None


def _missing(view: _Field) -> list[str]:
    """Return a sentence for each channel that lacks frames."""
    flags = []
    for channel in view.manifest.channels:
        key = view.attempts.get(channel.name)
        frames = view.histories[key].frames if key else 0
        if frames < channel.frames:
            flags.append(
                f"{channel.name} ({channel.probe}): {frames} of {channel.frames} frames"
            )
    return flags


def _apart(view: _Field) -> tuple[str, ...]:
    """Return why this field may not enter the ratio; nothing: it may."""
    found = {c: read_noise(view.run, view.name, c) for c in view.attempts}
    noise = {channel: facts for channel, facts in found.items() if facts is not None}
    return (
        *cleaned_reasons(view.manifest, noise),
        *apart_reasons(view.manifest, _answering(view)),
    )


def _answering(view: _Field) -> dict[str, UnitHistory]:
    return {name: view.histories[key] for name, key in view.attempts.items()}


def _nucleus(
    view: _Field, nucleus: Nucleus, counts: FieldCounts, phases: Phases
) -> NucleusCounts:
    camera = view.manifest.camera.pixel_nm / 1000.0
    half_x = (view.manifest.frame_width - 1) / 2
    half_y = (view.manifest.frame_height - 1) / 2
    reason = nucleus.exclusion_reason or next(iter(_apart(view)), "")
    return NucleusCounts(
        nucleus=nucleus.label,
        x_um=view.facts.x_um + (nucleus.x_px - half_x) * camera,
        y_um=view.facts.y_um + (nucleus.y_px - half_y) * camera,
        area_um2=nucleus.area_um2,
        quality=nucleus.quality,
        excluded=bool(reason),
        exclusion_reason=reason,
        counts=counts.nuclei[nucleus.label],
        ensemble=phases,
    )


def _result(
    view: _Field,
    nuclei: tuple[NucleusCounts, ...],
    counts: FieldCounts | None,
    flags: list[str],
    lie: FieldGeometry,
    found: Segmentation | None = None,
) -> FieldResult:
    phases = _unit_phases(view)
    return FieldResult(
        run=view.manifest.run,
        field=view.name,
        profile=view.manifest.profile.name,
        profile_digest=view.manifest.profile.digest,
        nuclei=nuclei,
        signals=counts.marks if counts else (),
        attempts={name: key.attempt for name, key in view.attempts.items()},
        scales=counts.scales if counts else {},
        ensemble=phases,
        clusters=counts.clusters if counts else (),
        isolated=counts.isolated if counts else {},
        staining=counts.staining if counts else None,
        segmentation=found.method if found else "",
        geometry=lie,
        apart=_apart(view),
        flags=(*flags, *_phase_flags(phases)),
    )
