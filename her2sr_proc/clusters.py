"""Dense regions: how many signals are where fewer can be told apart.

Two witnesses, both calibrated on regions that hold one signal: light at the start of
the burst, linear in dyes, and frames of the sparse phase in which a dye is lit. Where
they disagree the interval widens. Pure functions of what a field noted, so that a run
can calibrate again on all of its fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import Cluster, Isolated, ProbeCount

F64 = npt.NDArray[np.float64]

KIN = 3.0
"""Single signals differ by less than this factor from their median."""
EVENTS_SCATTER = 1.0
"""Of the events of single signals, at least: most scatter is of focus."""
WIDE = 1.96
"""Deviations of a 95 % interval."""
PAPER_CAP = 4
"""A nucleus with a cluster counts as more than this in the paper."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What one signal is worth, as one arm counts one probe."""

    light_e: float
    scatter: float
    """Relative standard deviation of the light of single signals."""
    events: float | None
    events_scatter: float
    isolated: int
    is_device: bool
    """Too few isolated signals: the device's value."""


@dataclass(frozen=True, slots=True)
class Guess:
    """How many signals a region holds, with a 95 % interval."""

    count: int
    low: int
    high: int


def pooled(parts: Sequence[Isolated]) -> Isolated:
    """Return the isolated signals of many fields as one."""
    return Isolated(
        light_e=tuple(light for part in parts for light in part.light_e),
        events=tuple(events for part in parts for events in part.events),
    )


def scale_of(isolated: Isolated, params: CountParams) -> Scale:
    """Return what one signal is worth: the mean of kin, or the device's value.

    The mean and not the median: a merged pair is one copy with the light of two, and a
    cluster holds such pairs, too.
    """
    light = _kin(np.array(isolated.light_e, np.float64))
    events = _kin(np.array(isolated.events, np.float64))
    told = len(events) >= params.minimum_isolated
    is_device = len(light) < params.minimum_isolated
    return Scale(
        light_e=params.typical_light_e if is_device else float(light.mean()),
        scatter=params.typical_scatter
        if is_device
        else float(light.std() / light.mean()),
        events=float(events.mean()) if told else None,
        events_scatter=max(EVENTS_SCATTER, float(events.std() / events.mean()))
        if told
        else EVENTS_SCATTER,
        isolated=len(light),
        is_device=is_device,
    )


def guess(cluster: Cluster, scale: Scale, params: CountParams) -> Guess | None:
    """Return how many signals a region holds; None where those resolved explain it."""
    by_light = cluster.light_e / scale.light_e
    excess = by_light - cluster.resolved
    noise = scale.scatter * math.sqrt(cluster.resolved)
    if excess < max(params.cluster_excess, params.cluster_deviations * noise):
        return None
    calibration = scale.scatter / math.sqrt(max(scale.isolated, 1))
    common = math.hypot(params.light_error, calibration)
    witnesses = [(by_light, _deviation(by_light, scale.scatter, common))]
    if scale.events and cluster.events is not None:
        told = cluster.events / scale.events
        sd = _deviation(told, scale.events_scatter, 2.0 * params.light_error)
        witnesses.append((told, sd))
    weights = [1.0 / sd**2 for _, sd in witnesses]
    middle = sum(w * v for w, (v, _) in zip(weights, witnesses, strict=True))
    count = max(cluster.resolved, round(middle / sum(weights)))
    low = min(value - WIDE * sd for value, sd in witnesses)
    high = max(value + WIDE * sd for value, sd in witnesses)
    return Guess(
        count=count,
        low=max(cluster.resolved, min(count, math.floor(low))),
        high=max(count, math.ceil(high)),
    )


def settled(
    base: ProbeCount, clusters: Sequence[Cluster], scale: Scale, params: CountParams
) -> ProbeCount:
    """Return the count of a nucleus with its clusters taken into account.

    Parameters
    ----------
    base : ProbeCount
        With ``resolved``; what else it says is replaced.
    clusters : sequence of Cluster
        Of the same arm, probe and nucleus.
    scale : Scale
        What one signal is worth.
    params : CountParams
        How clusters count.
    """
    if base.resolved is None:
        return base
    count, low, high = base.resolved
    guesses = [(one, guess(one, scale, params)) for one in clusters]
    dense = [(one, told) for one, told in guesses if told is not None]
    high += sum(_hidden(one, scale) for one, told in guesses if told is None)
    high += sum(told.high - one.resolved for one, told in dense)
    is_estimated = bool(dense) and params.clusters != "resolved"
    if is_estimated and params.clusters == "cap":
        count = max(count, PAPER_CAP + 1)
    elif is_estimated:
        count += sum(told.count - one.resolved for one, told in dense)
        low += sum(told.low - one.resolved for one, told in dense)
    return ProbeCount(
        count=count,
        ambiguous=base.resolved[1] != base.resolved[2]
        or (bool(dense) and params.ambiguous == "paper"),
        estimated=is_estimated,
        low=min(low, count),
        high=max(high, count),
        resolved=base.resolved,
    )


def _hidden(cluster: Cluster, scale: Scale) -> int:
    """Return what the light leaves room for, where it is not enough to count."""
    return max(0, round(cluster.light_e / scale.light_e - cluster.resolved))


def _deviation(count: float, scatter: float, common: float) -> float:
    """Return the standard deviation of a count told by a sum over its signals."""
    return math.hypot(scatter * math.sqrt(max(count, 1.0)), common * count)


def _kin(values: F64) -> F64:
    """Return the values within a factor of their median: no strays, no clusters."""
    values = values[values > 0]
    if not values.size:
        return values
    middle = float(np.median(values))
    kin = values[(values > middle / KIN) & (values < middle * KIN)]
    return np.asarray(kin, np.float64)
