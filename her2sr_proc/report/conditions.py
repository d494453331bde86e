"""Under which conditions a run was counted: light, focus, ensemble phase, crosstalk.

Plain values for the report; who reads them from a run is `offline.conditions`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LightDose:
    """What one laser line gave the slide, for one purpose."""

    nm: int
    purpose: str
    """Such as burst or focus."""
    power_percent: float
    exposures: int
    """Bursts, or single exposures."""
    frames: int
    lit_s: float
    """With light on the sample, over all fields."""
    most_lit_s: float
    """The same, of the field that had most."""

    @property
    def full_power_s(self) -> float:
        """Dose of that field, in seconds of the line's full power."""
        return self.most_lit_s * self.power_percent / 100.0


@dataclass(frozen=True, slots=True)
class Focus:
    """How the focus was held."""

    method: str
    units: int = 0
    """Bursts whose focus was recorded."""
    largest_drift_um: float | None = None
    """Of the drive between begin and end of a burst."""
    lost: int = 0
    """Bursts in which the lock was seen to be lost."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Share of a channel's burst in which loci are blobs, not single molecules."""

    channel: str
    fields: int
    """That know an end."""
    ensemble_share: float | None
    """Median over fields; the rest of the burst is sparse."""
    ensemble_frames: float | None
    unknown: tuple[str, ...] = ()
    """Why fields know none, each reason once."""


@dataclass(frozen=True, slots=True)
class Crosstalk:
    """Signals of both colours at one place, beyond chance."""

    share: float
    """Of the rarer colour's signals."""
    coincident: int
    by_chance: float
    signals: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of them; an empty tuple or None: nobody recorded it."""

    doses: tuple[LightDose, ...] = ()
    is_dose_of_bursts_alone: bool = False
    """Whether no other exposure was recorded: an older run, or a lost file."""
    focus: Focus | None = None
    phases: tuple[Phase, ...] = ()
    crosstalk: Crosstalk | None = None
