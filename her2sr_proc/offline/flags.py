"""What a reader of the answer must know before believing it, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from her2sr_proc.offline.geometry import registration_flags
from her2sr_proc.schema.counts import FieldResult
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.results import Accounting
from her2sr_proc.scoring import Assessed

NAMED = 3
"""Fields that a flag names; of more it tells how many."""


def run_flags(
    manifest: Manifest,
    fields: Sequence[FieldResult],
    headline: Assessed,
    accounting: Accounting,
) -> tuple[str, ...]:
    """Return every flag of a run, the weightiest first."""
    return (
        *_simulation(manifest),
        *_import(manifest),
        *_denoised(manifest),
        *_former(manifest),
        *_stopped(manifest),
        *_frames(accounting),
        *_calibration(manifest),
        *_fields(manifest, fields),
        *_counts(manifest, headline),
    )


def _simulation(manifest: Manifest) -> Iterator[str]:
    if manifest.simulation is None:
        return
    yield "simulated specimen: no patient, no slide"
    factor = manifest.simulation.get("kinetics_factor", 1.0)
    if isinstance(factor, int | float) and factor != 1.0:
        yield (
            f"kinetics factor {factor:g}: the dyes decay {factor:g} times as fast "
            f"as real ones, so that fewer frames span the whole decay"
        )


def _import(manifest: Manifest) -> Iterator[str]:
    if manifest.imported:
        yield (
            "imported movies: camera, light and which probe is which are as they were "
            "stated, not as they were measured"
        )


def _denoised(manifest: Manifest) -> Iterator[str]:
    if manifest.denoised_by:
        models = ", ".join(f"{n}: {d[:12]}" for n, d in manifest.denoised_by.items())
        yield (
            f"cleaned by Noise2Void before the fit ({models}): positions, photons and "
            f"uncertainties are of cleaned frames, pictures and the variance that "
            f"signals are found by of raw ones"
        )


def _former(manifest: Manifest) -> Iterator[str]:
    if manifest.former_profile_digest:
        yield (
            f"processed by today's settings of '{manifest.profile.name}': the run was "
            f"taken with those of an earlier program "
            f"({manifest.former_profile_digest})"
        )


def _stopped(manifest: Manifest) -> Iterator[str]:
    if (stop := manifest.stopped_early) is not None:
        yield f"{stop.reason}; {stop.fields_left} fields were not taken"


def _frames(accounting: Accounting) -> Iterator[str]:
    partial = sum(unit.written < unit.requested for unit in accounting.units)
    if partial:
        yield f"{partial} of {len(accounting.units)} units lack frames"
    if accounting.localized != accounting.localizable:
        yield (
            f"{accounting.localizable - accounting.localized} frames on disk could "
            f"not be localized"
        )


def _calibration(manifest: Manifest) -> Iterator[str]:
    yield from registration_flags(manifest)
    yield from manifest.calibration.unused
    for use in manifest.calibration.used:
        if use.expired and use.kind != "beads":
            yield (
                f"the calibration '{use.kind}' was {use.age_days:.1f} days old and had "
                f"expired"
            )


def _fields(manifest: Manifest, fields: Sequence[FieldResult]) -> Iterator[str]:
    left = manifest.stopped_early.fields_left if manifest.stopped_early else 0
    if len(fields) < len(manifest.fields) - left:
        yield f"{len(manifest.fields) - left - len(fields)} fields have no result"
    told: dict[str, list[str]] = {}
    for field in fields:
        for flag in field.flags:
            told.setdefault(flag, []).append(field.field)
    for flag, names in told.items():
        yield f"{named_fields(names, len(fields))}: {flag}"


def named_fields(names: Sequence[str], fields: int) -> str:
    """Return which fields of so many something is of, in few words."""
    if len(names) <= NAMED:
        return ", ".join(names)
    if len(names) == fields:
        return f"all {fields} fields"
    return (
        f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more of {fields} fields"
    )


def _counts(manifest: Manifest, headline: Assessed) -> Iterator[str]:
    params, arm = manifest.profile.score, headline.arm
    if arm.nuclei < params.minimum_nuclei:
        yield f"fewer than {params.minimum_nuclei} nuclei were scored: {arm.nuclei}"
    if not headline.assessment.is_marked:
        yield "regions unmarked: the figures are over every accepted nucleus"
    if arm.ratio is not None and arm.ratio < params.minimum_ratio:
        yield (
            "CEP17 signals far outnumber HER2 signals: check that the channels are "
            "not swapped"
        )
