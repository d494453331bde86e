"""How the channels of a field lie to each other: registered, drifted, seen in depth.

What is not known is said, and nothing is shifted by a guess. Drift is measured by the
localizations of each burst, and summed over the bursts of the field, which follow each
other within seconds; it is reported and moves no signal. Pictures of two colours share
too little to tell it: on the simulated slide their correlation errs by a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from her2sr_proc.depth import seen_share
from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.registration import within_region
from her2sr_proc.schema.calibration import AffineTransform, ChannelRegistration
from her2sr_proc.schema.counts import ChannelGeometry, FieldGeometry
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.table import Localizations

WORTH_SAYING_NM = 100.0
"""Drift over a field beyond this is a flag: its colours no longer coincide."""
SEGMENTS = 5


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
    manifest: Manifest, tables: Mapping[str, Localizations]
) -> tuple[FieldGeometry, list[str]]:
    """Return how the channels of a field lie, and flags.

    Parameters
    ----------
    manifest : Manifest
        Of the run.
    tables : mapping
        Signal channel -> localizations of its burst, as fitted.
    """
    notes: list[str] = []
    channels = {
        c.name: ChannelGeometry(
            registered=transform_of(manifest, c.name) is not None,
            registration_residual_nm=_residual(manifest, c.name),
            seen_share=_seen(manifest, c.name, notes),
            drift_nm=_within(c.frames, tables.get(c.name)),
        )
        for c in manifest.channels
    }
    drift = _over_the_field(manifest, channels, notes)
    flags = []
    if drift is not None and np.hypot(*drift) > WORTH_SAYING_NM:
        flags.append(
            f"the sample moved by {np.hypot(*drift):.0f} nm over the signal bursts"
        )
    geometry = FieldGeometry(channels=channels, drift_nm=drift, notes=tuple(notes))
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


def _over_the_field(
    manifest: Manifest, channels: Mapping[str, ChannelGeometry], notes: list[str]
) -> tuple[float, float] | None:
    """Return the drift from the first frame to the last of all signal bursts."""
    total = np.zeros(2)
    for channel in manifest.with_role("signal"):
        found = channels[channel.name].drift_nm
        if found is None:
            notes.append(
                f"drift over the field is unknown: {channel.name} has too few "
                f"localizations in a fifth of its burst"
            )
            return None
        total += found
    return round(float(total[0]), 1), round(float(total[1]), 1)


def _within(frames: int, table: Localizations | None) -> tuple[float, float] | None:
    """Return the drift over a burst, of the intersections of its localizations."""
    length = frames // SEGMENTS
    if table is None or length < 1:
        return None
    try:
        drift = measure_drift(table, frames=frames, method="aim", segment_frames=length)
    except RequestError:  # too little in a segment: not measured, not nought
        return None
    x, y = drift.xy_nm[-1] - drift.xy_nm[0]
    return round(float(x), 1), round(float(y), 1)
