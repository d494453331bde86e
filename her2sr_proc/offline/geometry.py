"""How the channels of a field lie to each other: registered, drifted, seen in depth.

What is not known is said, and nothing is shifted by a guess. Drift between bursts is
measured and reported; it moves no signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from her2sr_proc.depth import seen_share
from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.registration import moved_image, within_region
from her2sr_proc.schema.calibration import AffineTransform, ChannelRegistration
from her2sr_proc.schema.counts import BurstDrift, ChannelGeometry, FieldGeometry
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.table import Localizations
from her2sr_proc.shifts import shift_between

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

REACH_UM = 1.0
"""Farther nothing drifts within a field that is worth counting."""
WORTH_SAYING_NM = 100.0
"""Drift between bursts beyond this is a flag: colours no longer coincide."""
SEGMENTS = 5
LEAST_PER_SEGMENT = 200


def transform_of(manifest: Manifest, channel: str) -> AffineTransform | None:
    """Return what brings a channel into the reference frame; None: unknown."""
    found = _registration(manifest, channel)
    if found is None:
        return None
    pixel_nm = manifest.camera.pixel_nm
    x, y = manifest.calibration.crop
    return within_region(found.to_reference, x_nm=x * pixel_nm, y_nm=y * pixel_nm)


def registration_flags(manifest: Manifest) -> list[str]:
    """Return why the channels of a run are not, or not well, registered."""
    calibration = manifest.calibration
    if calibration.registration is None:
        return [
            "colours are not registered: the run has no bead calibration, so that "
            "signals of different colours may lie some tens of nm apart"
        ]
    flags = [
        f"{c.name} ({c.probe}) is not registered: the bead calibration has no "
        f"{c.laser_nm} nm"
        for c in manifest.channels
        if calibration.registration.channel(c.laser_nm) is None
    ]
    use = calibration.use("beads")
    if use is not None and use.expired:
        flags.append(
            f"the bead calibration was {use.age_days:.1f} days old and had expired"
        )
    return flags


def measure(
    manifest: Manifest,
    pictures: Mapping[str, F32],
    tables: Mapping[str, Localizations],
) -> tuple[FieldGeometry, list[str]]:
    """Return how the channels of a field lie, and flags.

    Parameters
    ----------
    manifest : Manifest
        Of the run.
    pictures : mapping
        Channel -> mean of the first frames of its burst, (height, width).
    tables : mapping
        Channel -> localizations of its burst, as fitted.
    """
    notes: list[str] = []
    drift = _between(manifest, pictures, notes)
    channels = {
        c.name: ChannelGeometry(
            registered=transform_of(manifest, c.name) is not None,
            registration_residual_nm=_residual(manifest, c.name),
            seen_share=_seen(manifest, c.name, notes),
            drift_within_nm=_within(c.frames, tables.get(c.name)),
        )
        for c in manifest.channels
    }
    flags = [
        f"the sample moved by {np.hypot(d.x_nm, d.y_nm):.0f} nm between the bursts of "
        f"{d.first} and {d.second}"
        for d in drift
        if np.hypot(d.x_nm, d.y_nm) > WORTH_SAYING_NM
    ]
    geometry = FieldGeometry(channels=channels, drift=drift, notes=tuple(notes))
    return geometry, flags


def _registration(manifest: Manifest, channel: str) -> ChannelRegistration | None:
    whole = manifest.calibration.registration
    if whole is None:
        return None
    return whole.channel(manifest.channel(channel).laser_nm)


def _residual(manifest: Manifest, channel: str) -> float | None:
    found = _registration(manifest, channel)
    return found.residual_nm if found else None


def _seen(manifest: Manifest, channel: str, notes: list[str]) -> float | None:
    """Return the share of the section's depth that a channel sees, if known."""
    found, section = _registration(manifest, channel), manifest.plan.get("section_um")
    if found is None or not isinstance(section, int | float):
        missing = "bead calibration" if found is None else "section_um in the protocol"
        notes.append(f"{channel}: depth seen is unknown without a {missing}")
        return None
    share = seen_share(
        section_um=float(section),
        focal_depth_um=found.focal_depth_um,
        plane_um=_z_offset_um(manifest, channel) - found.focus_offset_um,
    )
    return round(share, 4)


def _z_offset_um(manifest: Manifest, channel: str) -> float:
    """Return what the plan adds to the focus of a channel; 0: nothing said."""
    planned = manifest.plan.get("channels")
    for one in planned if isinstance(planned, list) else []:
        if isinstance(one, dict) and one.get("name") == channel:
            offset = one.get("z_offset_um", 0.0)
            return float(offset) if isinstance(offset, int | float) else 0.0
    return 0.0


def _between(
    manifest: Manifest, pictures: Mapping[str, F32], notes: list[str]
) -> tuple[BurstDrift, ...]:
    """Return the drift from burst to burst, by the pictures at their starts."""
    pixel_nm = manifest.camera.pixel_nm
    names = [c.name for c in manifest.channels if c.name in pictures]
    found = []
    for first, second in pairwise(names):
        if None in (transform_of(manifest, first), transform_of(manifest, second)):
            notes.append(
                f"drift from {first} to {second} is unknown: without a registration "
                f"it cannot be told from the error of the colours"
            )
            continue
        one, other = (
            moved_image(
                pictures[name], transform_of(manifest, name), pixel_nm=pixel_nm
            ).astype(np.float64)
            for name in (first, second)
        )
        shift = shift_between(one, other, reach_px=REACH_UM * 1000.0 / pixel_nm)
        if not shift.is_sure:
            notes.append(
                f"drift from {first} to {second} is unknown: their pictures have too "
                f"little in common"
            )
            continue
        found.append(
            BurstDrift(
                first=first,
                second=second,
                x_nm=round(shift.x_px * pixel_nm, 1),
                y_nm=round(shift.y_px * pixel_nm, 1),
                significance=round(shift.significance, 1),
            )
        )
    return tuple(found)


def _within(frames: int, table: Localizations | None) -> tuple[float, float] | None:
    """Return the drift over a burst, of the intersections of its localizations."""
    length = frames // SEGMENTS
    if table is None or length < 2 or len(table) < LEAST_PER_SEGMENT * SEGMENTS:
        return None
    try:
        drift = measure_drift(table, frames=frames, method="aim", segment_frames=length)
    except RequestError:  # too little in a segment: not measured, not nought
        return None
    x, y = drift.xy_nm[-1] - drift.xy_nm[0]
    return round(float(x), 1), round(float(y), 1)
