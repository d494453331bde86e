"""Signals per nucleus in every arm: conventional, super-resolved, sister pairs merged.

One counter (`her2sr_proc.spots`) sees all arms; they differ in the image it is given.
Low and high enclose what the limit of strength decides and what a dense region may
hide or hold, not what sampling does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from her2sr_proc.arms import (
    ArmSignals,
    ChannelEvidence,
    Place,
    dense_of,
    groups_of,
    marks_of,
    nuclei_of,
    owners_of,
    regions_of,
    resolved,
)
from her2sr_proc.clusters import scale_of, settled
from her2sr_proc.coincidence import coincidence
from her2sr_proc.registration import moved
from her2sr_proc.schema.calibration import AffineTransform
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import (
    PROBES,
    Cluster,
    Isolated,
    Probe,
    ProbeCount,
    SignalMark,
    Staining,
)
from her2sr_proc.schema.results import ARMS, ArmName
from her2sr_proc.signals import (
    Signals,
    conventional_limits,
    conventional_signals,
    sharp_fwhm_nm,
    steady_glow,
    superresolved_signals,
)

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Counts = dict[ArmName, dict[Probe, ProbeCount]]

FEW = 5
"""Isolated signals below which a field says that the device's values weighed in."""


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """What was counted in a field."""

    nuclei: dict[int, Counts]
    marks: tuple[SignalMark, ...]
    scales: dict[str, float]
    flags: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    isolated: dict[str, Isolated]
    staining: Staining


def count_field(
    labels: I32,
    channels: Sequence[ChannelEvidence],
    *,
    pixel_nm: float,
    params: CountParams,
) -> FieldCounts:
    """Count the signals of every nucleus of a field.

    Parameters
    ----------
    labels : int32 array, shape (height, width)
        Nuclei from 1; 0 is background.
    channels : sequence of ChannelEvidence
        One a probe at most; the counts of a probe that is absent are 0.
    pixel_nm : float
        Width of a pixel in the sample.
    params : CountParams
        Scales, limits and device values.
    """
    owners = owners_of(labels, pixel_nm=pixel_nm, params=params)
    place = Place(owners, np.bincount(labels.ravel()), pixel_nm, params)
    light = {
        c.probe: _registered(
            conventional_signals(c.conventional, pixel_nm=pixel_nm, params=params),
            c.to_reference,
            pixel_nm,
        )
        for c in channels
    }
    arms: list[ArmSignals] = []
    scales: dict[str, float] = {}
    flags: list[str] = []
    for channel in channels:
        seen = light[channel.probe].take(~_glow(channel.probe, light, pixel_nm))
        sharp = superresolved_signals(
            channel.fluctuation, channel.table, pixel_nm=pixel_nm, params=params
        )
        sharp = _registered(sharp, channel.to_reference, pixel_nm)
        width_nm = sharp_fwhm_nm(seen, pixel_nm=pixel_nm, params=params)
        arms += _arms_of(channel, seen, sharp, width_nm, place)
        scales |= _scales(channel.probe, seen, sharp, width_nm)
        if sharp.isolated < FEW:
            flags.append(
                f"{channel.probe}: {sharp.isolated} isolated signals; what is typical "
                f"leans on the device's values"
            )
    staining = _staining(arms, light, place)
    glowing = sum(staining.glowing.values())
    if glowing:
        flags.append(
            f"autofluorescence: {glowing} conventional signals in nuclei shine in both "
            f"colours and were left out"
        )
    return _totals(labels, arms, place, scales, tuple(flags), staining)


def _arms_of(
    channel: ChannelEvidence,
    seen: Signals,
    sharp: Signals,
    width_nm: float,
    place: Place,
) -> list[ArmSignals]:
    params = place.params
    conventional = conventional_limits(seen, pixel_nm=place.pixel_nm, params=params)
    limit = np.full(len(sharp.spots), params.minimum_strength)
    in_light, in_sharp = nuclei_of(seen, place), nuclei_of(sharp, place)
    diameter_px = min(width_nm, params.merge_nm / 2.0) / place.pixel_nm
    arms = [
        ArmSignals("conventional", channel, seen, in_light, conventional),
        ArmSignals("sr", channel, sharp, in_sharp, limit),
    ]
    light, sr = (replace(arm, regions=regions_of(arm, place)) for arm in arms)
    return [light, sr, replace(sr, name="sr_merged", diameter_px=diameter_px)]


def _totals(
    labels: I32,
    arms: Sequence[ArmSignals],
    place: Place,
    scales: dict[str, float],
    flags: tuple[str, ...],
    staining: Staining,
) -> FieldCounts:
    """Return the counts of all nuclei, with what a run needs to calibrate again."""
    none = ProbeCount(count=0, low=0, high=0)
    found = [int(label) for label in np.unique(labels) if label]
    nuclei: dict[int, Counts] = {
        label: {arm: dict.fromkeys(PROBES, none) for arm in ARMS} for label in found
    }
    marks: list[SignalMark] = []
    clusters: list[Cluster] = []
    isolated: dict[str, Isolated] = {}
    for arm in arms:
        groups = {label: groups_of(arm, label, place) for label in found}
        mine, alone = dense_of(arm, groups, place)
        scale = scale_of(alone, place.params)
        isolated[arm.stem] = alone
        clusters += mine
        for label in found:
            dense = [one for one in mine if one.nucleus == label]
            base = resolved(arm, label, len(groups[label]), place.params)
            count = settled(base, dense, scale, place.params)
            nuclei[label][arm.name][arm.channel.probe] = count
            marks += marks_of(arm, label, groups[label], place)
    return FieldCounts(
        nuclei, tuple(marks), scales, flags, tuple(clusters), isolated, staining
    )


def _registered(
    signals: Signals, transform: AffineTransform | None, pixel_nm: float
) -> Signals:
    """Return signals in the frame of the reference colour."""
    if transform is None:
        return signals
    spots = signals.spots
    where = np.column_stack([spots.x_px, spots.y_px]) * pixel_nm
    x_px, y_px = moved(where, transform).T / pixel_nm
    return replace(signals, spots=replace(spots, x_px=x_px, y_px=y_px))


def _glow(probe: Probe, light: Mapping[Probe, Signals], pixel_nm: float) -> Mask:
    """Return which conventional signals shine in another colour, too."""
    signals = light[probe]
    glow = np.zeros(len(signals.spots), bool)
    for other, theirs in light.items():
        if other != probe:
            glow |= steady_glow(signals, theirs, pixel_nm=pixel_nm)
    return glow


def _scales(
    probe: Probe, seen: Signals, sharp: Signals, width_nm: float
) -> dict[str, float]:
    name = probe.lower()
    return {
        f"{name}_conventional_fwhm_nm": round(width_nm, 1),
        f"{name}_typical_light_e": round(seen.typical, 1),
        f"{name}_typical_fluctuation_e2": round(sharp.typical, 1),
        f"{name}_isolated_signals": float(sharp.isolated),
    }


def _staining(
    arms: Sequence[ArmSignals], light: Mapping[Probe, Signals], place: Place
) -> Staining:
    """Return what speaks for or against the staining of the field."""
    sharp = {arm.channel.probe: arm for arm in arms if arm.name == "sr"}
    points: dict[Probe, F64] = {}
    seen: dict[Probe, int] = {}
    glowing: dict[Probe, int] = {}
    for probe, signals in light.items():
        strong = signals.relative >= conventional_limits(
            signals, pixel_nm=place.pixel_nm, params=place.params
        )
        mine = (nuclei_of(signals, place) > 0) & strong
        seen[probe] = int(mine.sum())
        glowing[probe] = int((mine & _glow(probe, light, place.pixel_nm)).sum())
        spots = sharp[probe].signals.spots.take(sharp[probe].counted)
        points[probe] = np.column_stack([spots.y_px, spots.x_px])
    lie = coincidence(
        *(points.get(probe, np.zeros((0, 2))) for probe in PROBES),
        pixel_nm=place.pixel_nm,
    )
    return Staining(
        signals={probe: int(arm.counted.sum()) for probe, arm in sharp.items()},
        outside={
            probe: int((arm.counted & (arm.nucleus == 0)).sum())
            for probe, arm in sharp.items()
        },
        seen=seen,
        glowing=glowing,
        coincident=lie.observed,
        by_chance=lie.by_chance,
    )
