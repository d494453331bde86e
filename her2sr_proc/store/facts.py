"""What a table does not say of the movie it came from, but other programs ask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from her2sr_proc.errors import TableError

MOST_FRAMES = 2**31
"""As many as a table can number."""


@dataclass(frozen=True, slots=True)
class MovieFacts:
    """Size and scale of the movie behind a table; native files keep them."""

    pixel_nm: float
    height_px: int
    width_px: int
    frames: int
    source: str = ""
    """Name of the movie file."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for facts that no movie has."""
        if not 0.0 < self.pixel_nm < math.inf:
            raise ValueError(f"pixels of {self.pixel_nm} nm")
        if self.height_px < 1 or self.width_px < 1:
            raise ValueError(f"frames of {self.height_px} x {self.width_px} pixels")
        if not 0 <= self.frames <= MOST_FRAMES:
            raise ValueError(f"{self.frames} frames")

    def to_metadata(self) -> dict[str, str]:
        """Return the facts as metadata of a native table."""
        return {
            "pixel_nm": repr(self.pixel_nm),
            "height_px": str(self.height_px),
            "width_px": str(self.width_px),
            "frames": str(self.frames),
            "source_name": self.source,
        }

    @classmethod
    def from_metadata(cls, path: Path, metadata: dict[str, str]) -> Self | None:
        """Return the facts in a native table's metadata; none where it has none.

        Raises `TableError` when they cannot be true.
        """
        if not {"pixel_nm", "height_px", "width_px", "frames"} <= metadata.keys():
            return None
        try:
            return cls(
                pixel_nm=float(metadata["pixel_nm"]),
                height_px=int(metadata["height_px"]),
                width_px=int(metadata["width_px"]),
                frames=int(metadata["frames"]),
                source=metadata.get("source_name", ""),
            )
        except ValueError as exc:
            raise TableError(
                f"{path} says of its movie what cannot be ({exc}); make it again with "
                f"`her2sr localize`",
                path=str(path),
            ) from exc
