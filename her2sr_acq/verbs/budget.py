"""From what was seen of a burst to a budget: who uses what, and what gives out first.

Arithmetic alone. The bottleneck is the resource of which full rate asks the largest
share of what there is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from her2sr_acq.verbs.rate import EXPOSURE_MS, Burst
from her2sr_acq.verbs.stages import COPIES, Bounds

THREADS = {"acq": {"encoder": 2}, "localizer": {"frames": 2}}
"""Names that several threads share; every other thread is alone and has one core."""


@dataclass(frozen=True, slots=True)
class Share:
    """A resource, and how much of it full rate asks."""

    name: str
    asked: float
    available: float
    unit: str

    @property
    def used(self) -> float:
        """Share of what there is; above 1 it does not suffice."""
        return self.asked / self.available


@dataclass(frozen=True, slots=True)
class Budget:
    """What one burst cost in its steady state."""

    seconds: float
    written_per_s: float
    """Frames to disk."""
    localized_per_s: float
    gb_per_s: float
    cores: dict[tuple[str, str], float]
    """In use, by process and thread."""
    peak_mb: dict[str, float]
    lag_s: tuple[float, float]
    """Of the localizer, at the begin and at the end of the steady state."""
    others: float
    """Cores that programs beside the service used meanwhile."""
    shares: tuple[Share, ...]

    @property
    def is_behind(self) -> bool:
        """Whether the localizer fell back although nothing of it is too slow."""
        grew = self.lag_s[1] - self.lag_s[0]
        return grew > 0.1 * self.seconds and self.bottleneck.used <= 1.0

    @property
    def bottleneck(self) -> Share:
        """What gives out first."""
        return max(self.shares, key=lambda share: share.used)

    def per_gb(self, key: tuple[str, str]) -> float:
        """Return the processor seconds of a thread for a gigabyte of pixels.

        Of the localizer a gigabyte that it has localized; of all others, written.
        """
        pixels = self.gb_per_s * (
            self.localized_per_s / self.written_per_s if key[0] == "localizer" else 1.0
        )
        return self.cores[key] / pixels if pixels > 0.0 else float("inf")


def budget_of(burst: Burst, bounds: Bounds, *, ratio: float) -> Budget:
    """Return the budget of the steady state. ``ratio``: of the compression."""
    first, last = burst.steady
    seconds = last.at_s - first.at_s
    frame_gb = 2 * burst.size**2 / 1e9
    cores = {
        key: (used - first.usage.cpu_s.get(key, 0.0)) / seconds
        for key, used in last.usage.cpu_s.items()
    }
    written = (last.written - first.written) / seconds
    localized = (last.localized - first.localized) / seconds
    rate_gb = frame_gb * 1000.0 / EXPOSURE_MS
    found = Budget(
        seconds=seconds,
        written_per_s=written,
        localized_per_s=localized,
        gb_per_s=written * frame_gb,
        cores=cores,
        peak_mb=dict(last.usage.peak_mb),
        lag_s=(first.lag_s, last.lag_s),
        others=max(
            0.0,
            (last.usage.machine_s - first.usage.machine_s) / seconds
            - sum(cores.values()),
        ),
        shares=(),
    )
    return replace(found, shares=_shares(found, bounds, rate_gb, ratio))


def _shares(
    found: Budget, bounds: Bounds, rate_gb: float, ratio: float
) -> tuple[Share, ...]:
    asked = {key: found.per_gb(key) * rate_gb for key in found.cores}
    moved = 2.0 * rate_gb * (sum(count for _, count in COPIES) + 2.0 / ratio)
    shares = [
        Share("all processors", sum(asked.values()), bounds.cores, "cores"),
        Share("memory", moved, bounds.memory_gb_per_s, "GB/s"),
        Share("disk", rate_gb / ratio, bounds.disk_gb_per_s, "GB/s"),
        Share("the two copies of MMCore", 2.0 * rate_gb, bounds.copy_gb_per_s, "GB/s"),
    ]
    shares += [
        Share(
            f"{process}, {thread}",
            cores,
            float(min(THREADS.get(process, {}).get(thread, 1), bounds.cores)),
            "cores",
        )
        for (process, thread), cores in asked.items()
        if cores >= 0.05
    ]
    return tuple(sorted(shares, key=lambda share: -share.used))
