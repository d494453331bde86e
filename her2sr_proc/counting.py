"""Signals per nucleus in every arm: conventional, super-resolved, sister pairs merged.

One counter (`her2sr_proc.spots`) sees all arms; they differ in the image it is given.
Low and high enclose what the limit of strength decides and what a spot of several
signals' strength may hide, not what sampling does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from skimage.segmentation import expand_labels

from her2sr_proc.registration import moved
from her2sr_proc.schema.calibration import AffineTransform
from her2sr_proc.schema.counts import PROBES, Probe, ProbeCount, SignalMark
from her2sr_proc.schema.params import CountParams
from her2sr_proc.schema.results import ARMS, ArmName
from her2sr_proc.schema.table import Localizations
from her2sr_proc.signals import (
    Fluctuation,
    Signals,
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

CROWD = 2.5
"""Times a typical signal: from here on, a spot may hide more than a sister pair."""
FEW = 5
"""Isolated signals below which a field says that the device's values weighed in."""


@dataclass(frozen=True, slots=True)
class ChannelEvidence:
    """What one channel of a field shows."""

    probe: Probe
    table: Localizations
    conventional: F32
    """Mean of the first frames, photo-electrons; shape (height, width)."""
    fluctuation: Fluctuation
    to_reference: AffineTransform | None = None
    """Brings its signals into the frame of ``labels``; None: they are in it."""


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """What was counted in a field."""

    nuclei: dict[int, Counts]
    marks: tuple[SignalMark, ...]
    scales: dict[str, float]
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Arm:
    """Signals of one probe in one arm, each with its nucleus (0: none)."""

    signals: Signals
    nucleus: I64
    merge_px: float = 0.0
    """Pairs nearer than this, and apart from others, count once."""


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
    owners = expand_labels(labels, params.margin_um * 1000.0 / pixel_nm)
    arms: dict[tuple[ArmName, Probe], _Arm] = {}
    scales: dict[str, float] = {}
    flags: list[str] = []
    light = {
        c.probe: _registered(
            conventional_signals(c.conventional, pixel_nm=pixel_nm, params=params),
            c.to_reference,
            pixel_nm,
        )
        for c in channels
    }
    for channel in channels:
        probe = channel.probe
        seen = _without_glow(probe, light, pixel_nm)
        sharp = superresolved_signals(
            channel.fluctuation, channel.table, pixel_nm=pixel_nm, params=params
        )
        sharp = _registered(sharp, channel.to_reference, pixel_nm)
        width_nm = sharp_fwhm_nm(seen, pixel_nm=pixel_nm, params=params)
        merge_px = min(width_nm, params.merge_nm) / pixel_nm
        arms["conventional", probe] = _Arm(seen, _nuclei_of(seen, owners))
        arms["sr", probe] = _Arm(sharp, _nuclei_of(sharp, owners))
        arms["sr_merged", probe] = _Arm(sharp, _nuclei_of(sharp, owners), merge_px)
        scales |= _scales(probe, seen, sharp, width_nm)
        if sharp.isolated < FEW:
            flags.append(
                f"{probe}: {sharp.isolated} isolated signals; what is typical leans on "
                f"the device's values"
            )
    found = [int(label) for label in np.unique(labels) if label]
    nuclei = {label: _counts(label, arms, params) for label in found}
    marks = tuple(
        mark
        for (arm, probe), signals in arms.items()
        for mark in _marks(arm, probe, signals, pixel_nm, params)
    )
    return FieldCounts(nuclei, marks, scales, tuple(flags))


def sister_pairs(points_px: F64, width_px: float) -> list[tuple[int, int]]:
    """Return the pairs nearer than a width, both apart from all others by it.

    Parameters
    ----------
    points_px : float64 array, shape (signals, 2)
        y, x of the signals of one probe in one nucleus.
    width_px : float
        What counts as near.
    """
    if len(points_px) < 2:
        return []
    near = cKDTree(points_px).query_pairs(width_px, output_type="ndarray")
    crowd = np.bincount(near.ravel(), minlength=len(points_px))
    return [(int(a), int(b)) for a, b in near if crowd[a] == 1 and crowd[b] == 1]


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


def _without_glow(
    probe: Probe, light: Mapping[Probe, Signals], pixel_nm: float
) -> Signals:
    signals = light[probe]
    glow = np.zeros(len(signals.spots), bool)
    for other, theirs in light.items():
        if other != probe:
            glow |= steady_glow(signals, theirs, pixel_nm=pixel_nm)
    return signals.take(~glow)


def _nuclei_of(signals: Signals, owners: I32) -> I64:
    height, width = owners.shape
    row = np.clip(np.rint(signals.spots.y_px), 0, height - 1).astype(np.int64)
    column = np.clip(np.rint(signals.spots.x_px), 0, width - 1).astype(np.int64)
    return owners[row, column].astype(np.int64)


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


def _counts(
    label: int, arms: Mapping[tuple[ArmName, Probe], _Arm], params: CountParams
) -> Counts:
    none = ProbeCount(count=0, low=0, high=0)
    return {
        arm: {
            probe: _count(label, arms[arm, probe], params)
            if (arm, probe) in arms
            else none
            for probe in PROBES
        }
        for arm in ARMS
    }


def _count(label: int, arm: _Arm, params: CountParams) -> ProbeCount:
    limit = params.minimum_strength
    mine = arm.nucleus == label
    strength = arm.signals.relative
    sure = int((mine & (strength >= limit * params.doubt)).sum())
    faint = int((mine & (strength >= limit / params.doubt)).sum())
    resolved = mine & (strength >= limit)
    count = len(_merged(arm, resolved))
    saved = int(resolved.sum()) - count
    crowds = strength[resolved & (strength >= CROWD)]
    hidden = int((np.rint(crowds) - 1).sum())
    return ProbeCount(
        count=count,
        ambiguous=sure != faint,
        low=max(0, min(count, sure - saved)),
        high=max(count, faint - saved) + hidden,
    )


def _merged(arm: _Arm, rows: Mask) -> list[list[int]]:
    """Return the signals as groups of rows: a pair that counts once, or one alone."""
    index = np.flatnonzero(rows)
    spots = arm.signals.spots
    points = np.column_stack([spots.y_px[index], spots.x_px[index]])
    pairs = sister_pairs(points, arm.merge_px) if arm.merge_px else []
    paired = {n for pair in pairs for n in pair}
    groups = [[int(index[a]), int(index[b])] for a, b in pairs]
    return groups + [[int(i)] for n, i in enumerate(index) if n not in paired]


def _marks(
    arm_name: ArmName, probe: Probe, arm: _Arm, pixel_nm: float, params: CountParams
) -> Iterator[SignalMark]:
    """Yield every counted signal; a merged pair at its middle."""
    spots = arm.signals.spots
    blob = params.probe_sigma_nm / pixel_nm
    counted = arm.signals.relative >= params.minimum_strength
    for label in np.unique(arm.nucleus[counted & (arm.nucleus > 0)]):
        for group in _merged(arm, counted & (arm.nucleus == label)):
            width = float(np.sqrt(spots.width_px2[group].mean() + blob**2))
            yield SignalMark(
                arm=arm_name,
                probe=probe,
                nucleus=int(label),
                x_px=float(spots.x_px[group].mean()),
                y_px=float(spots.y_px[group].mean()),
                sigma_nm=width * pixel_nm,
                strength=float(arm.signals.relative[group].sum()),
            )
