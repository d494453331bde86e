"""What a movie's file says beside its pixels: scale, times, names, OME metadata.

Knows neither files nor pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from her2sr_proc.schema.banner import BANNER

TO_UM = {
    **{"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "nm": 1e-3, "pm": 1e-6},
    **{"µm": 1.0, "μm": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0},
    **{"micrometer": 1.0, "micrometre": 1.0, "nanometer": 1e-3, "inch": 25_400.0},
}
"""Micrometres, by the names that programs give their units."""


def unsigned(text: str) -> str:
    """Return text without the banner, which is put back once whatever is done to it."""
    return text.replace(f"; {BANNER}", "").replace(BANNER, "").strip()


@dataclass(frozen=True, slots=True)
class StackFacts:
    """What is known of a movie beside its pixels."""

    pixel_um: float | None = None
    interval_s: float | None = None
    name: str = ""
    info: str = ""
    """Free text, as ImageJ's Show Info."""
    labels: tuple[str, ...] = ()
    """One a frame, or none."""
    ome: str | None = None
    """The file's whole OME-XML."""
    kept: range | None = None
    """Which frames, of those that the OME-XML speaks of, these are; default: all."""
    note: str = ""
    """What was done to the frames, in one line."""

    def of(self, kept: range) -> Self:
        """Return what is known of some of the frames."""
        before = self.kept
        interval = None if self.interval_s is None else self.interval_s * kept.step
        return replace(
            self,
            interval_s=interval,
            labels=tuple(self.labels[n] for n in kept) if self.labels else (),
            kept=kept if before is None else before[kept.start : kept.stop : kept.step],
        )

    def noted(self, note: str) -> Self:
        """Return the facts with what was done to the frames."""
        return replace(self, note=note)

    def without_frames(self) -> Self:
        """Return what is known of the movie alone, and not of single frames."""
        return replace(self, labels=(), kept=range(0))

    def scrubbed(self) -> Self:
        """Return the scale of pixels and time alone.

        Names, dates, free text, labels and OME-XML may name a person or a specimen;
        what is not known to be harmless is left out.
        """
        return type(self)(pixel_um=self.pixel_um, interval_s=self.interval_s)
