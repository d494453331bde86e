"""One probe in one arm: which spots are signals, whose they are, and which are one.

What an arm was given to look at is not its business; nor is what others counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.segmentation import expand_labels

from her2sr_proc.clusters import scale_of
from her2sr_proc.dense import Region, Seen, Sparse, dense_regions
from her2sr_proc.doublets import merging_px, sister_pairs
from her2sr_proc.schema.calibration import AffineTransform
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import Cluster, Isolated, Probe, ProbeCount, SignalMark
from her2sr_proc.schema.results import ArmName
from her2sr_proc.schema.table import Localizations
from her2sr_proc.signals import Fluctuation, Signals
from her2sr_proc.spots import Spots

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

WORTH_A_LOOK = 0.5
"""Of a signal's light: a region that held no cluster if signals were so dim holds none
whatever the run's calibration will say."""


@dataclass(frozen=True, slots=True)
class ChannelEvidence:
    """What one channel of a field shows."""

    probe: Probe
    table: Localizations
    conventional: F32
    """Mean of the first frames, photo-electrons; shape (height, width)."""
    fluctuation: Fluctuation
    sparse: Sparse | None = None
    """What came after the ensemble phase; None: it had no end."""
    to_reference: AffineTransform | None = None
    """Brings its signals into the frame of the nuclei; None: they are in it."""


@dataclass(frozen=True, slots=True)
class Place:
    """The field that all arms share."""

    owners: I32
    """The nucleus of every pixel, margins included."""
    area_px: I64
    """By label."""
    pixel_nm: float
    params: CountParams

    @property
    def blob_px(self) -> float:
        """Return the standard deviation of a probe's blob."""
        return self.params.probe_sigma_nm / self.pixel_nm


@dataclass(frozen=True, slots=True)
class ArmSignals:
    """Signals of one probe in one arm, each with its nucleus (0: none)."""

    name: ArmName
    channel: ChannelEvidence
    signals: Signals
    nucleus: I64
    limit: F64
    """Relative strength from which each spot is a signal."""
    regions: tuple[Region, ...] = ()
    """Of those signals alone, by their order among them."""
    diameter_px: float | None = None
    """Of an isolated conventional signal, where sisters count once."""

    @property
    def stem(self) -> str:
        """Return the name of the counts' column."""
        return f"{self.channel.probe.lower()}_{self.name}"

    @property
    def counted(self) -> Mask:
        """Return which spots are signals."""
        return np.asarray(self.signals.relative >= self.limit, np.bool_)


def owners_of(labels: I32, *, pixel_nm: float, params: CountParams) -> I32:
    """Return the nucleus whose signals stand at each pixel, its margin included.

    Int32, shape (height, width): labels from 1, 0 is nobody's. Where margins of two
    meet, the nearer one has the pixel.
    """
    grown = expand_labels(labels, params.margin_um * 1000.0 / pixel_nm)
    return np.asarray(grown, np.int32)


def nuclei_of(signals: Signals, place: Place) -> I64:
    """Return the nucleus that each signal stands in, 0: none."""
    height, width = place.owners.shape
    row = np.clip(np.rint(signals.spots.y_px), 0, height - 1).astype(np.int64)
    column = np.clip(np.rint(signals.spots.x_px), 0, width - 1).astype(np.int64)
    return place.owners[row, column].astype(np.int64)


def resolved(
    arm: ArmSignals, label: int, count: int, params: CountParams
) -> ProbeCount:
    """Return the signals told apart; low and high by the limit of strength."""
    mine, strength = arm.nucleus == label, arm.signals.relative
    sure = int((mine & (strength >= arm.limit * params.doubt)).sum())
    faint = int((mine & (strength >= arm.limit / params.doubt)).sum())
    saved = int((mine & arm.counted).sum()) - count
    low, high = max(0, min(count, sure - saved)), max(count, faint - saved)
    return ProbeCount(count=count, low=low, high=high, resolved=(count, low, high))


def groups_of(arm: ArmSignals, label: int, place: Place) -> list[list[int]]:
    """Return a nucleus's signals as rows: a pair that counts once, or one alone."""
    index = np.flatnonzero(arm.counted & (arm.nucleus == label))
    spots = arm.signals.spots
    points = np.column_stack([spots.y_px[index], spots.x_px[index]])
    pairs: list[tuple[int, int]] = []
    if arm.diameter_px is not None:
        near = merging_px(
            len(index),
            area_px=float(place.area_px[label]),
            diameter_px=arm.diameter_px,
            params=place.params,
        )
        pairs = sister_pairs(points, near)
    paired = {n for pair in pairs for n in pair}
    groups = [[int(index[a]), int(index[b])] for a, b in pairs]
    return groups + [[int(i)] for n, i in enumerate(index) if n not in paired]


def regions_of(arm: ArmSignals, place: Place) -> tuple[Region, ...]:
    """Return the regions that an arm's signals form."""
    rows = np.flatnonzero(arm.counted)
    seen = Seen(
        arm.channel.conventional, arm.channel.sparse, place.pixel_nm, place.blob_px
    )
    spots = arm.signals.spots.take(rows)
    return tuple(dense_regions(spots, arm.nucleus[rows], place.owners, seen))


def dense_of(
    arm: ArmSignals, groups: Mapping[int, list[list[int]]], place: Place
) -> tuple[list[Cluster], Isolated]:
    """Return regions that may be clusters, and what regions of one signal show."""
    rows = np.flatnonzero(arm.counted)
    spots = arm.signals.spots.take(rows)
    first = {group[0] for label in groups for group in groups[label]}
    held = [
        int(np.isin(rows[region.rows], list(first)).sum()) for region in arm.regions
    ]
    pairs = list(zip(arm.regions, held, strict=True))
    alone = [region for region, count in pairs if count == 1 and region.is_whole]
    isolated = Isolated(
        light_e=tuple(round(one.light_e, 1) for one in alone),
        events=tuple(round(one.events, 2) for one in alone if one.events is not None),
    )
    least = WORTH_A_LOOK * scale_of(isolated, place.params).light_e
    clusters = [
        _cluster(arm, spots.take(region.rows), region, count)
        for region, count in pairs
        if count and region.light_e / least - count >= place.params.cluster_excess
    ]
    return clusters, isolated


def _cluster(arm: ArmSignals, spots: Spots, region: Region, resolved: int) -> Cluster:
    return Cluster(
        arm=arm.name,
        probe=arm.channel.probe,
        nucleus=region.nucleus,
        x_px=round(float(spots.x_px.mean()), 2),
        y_px=round(float(spots.y_px.mean()), 2),
        resolved=resolved,
        light_e=round(region.light_e, 1),
        events=None if region.events is None else round(region.events, 2),
    )


def marks_of(
    arm: ArmSignals, label: int, groups: list[list[int]], place: Place
) -> Iterator[SignalMark]:
    """Yield every counted signal; a merged pair at its middle."""
    spots = arm.signals.spots
    for group in groups:
        width = float(np.sqrt(spots.width_px2[group].mean() + place.blob_px**2))
        yield SignalMark(
            arm=arm.name,
            probe=arm.channel.probe,
            nucleus=label,
            x_px=float(spots.x_px[group].mean()),
            y_px=float(spots.y_px[group].mean()),
            sigma_nm=width * place.pixel_nm,
            strength=float(arm.signals.relative[group].sum()),
        )
