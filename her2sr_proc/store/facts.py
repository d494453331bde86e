"""What a table does not say of the movie it came from, but other programs ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from her2sr_proc.errors import TableError


@dataclass(frozen=True, slots=True)
class MovieFacts:
    """Size and scale of the movie behind a table; native files keep them."""

    pixel_nm: float
    height_px: int
    width_px: int
    frames: int
    source: str = ""
    """Name of the movie file."""

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
    def from_metadata(cls, metadata: dict[str, str]) -> Self:
        """Return the facts in a native table's metadata.

        Raises `TableError` when they are not all there.
        """
        try:
            return cls(
                pixel_nm=float(metadata["pixel_nm"]),
                height_px=int(metadata["height_px"]),
                width_px=int(metadata["width_px"]),
                frames=int(metadata["frames"]),
                source=metadata.get("source_name", ""),
            )
        except (KeyError, ValueError) as exc:
            raise TableError(
                "the table does not say how large its movie's frames and pixels are"
            ) from exc
