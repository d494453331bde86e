"""How much of a camera's noise the frames of a movie carry."""

from __future__ import annotations

from pydantic import Field

from her2sr_proc.schema.model import Frozen

LEAST_SHARE = 0.5
"""Raw frames have 1 and more, cleaned ones a tenth to a third (docs/pipeline.md)."""


class NoiseFacts(Frozen):
    """Of steps between successive frames, over a whole burst."""

    pairs: int = Field(ge=0, description="of successive frames that were looked at")
    share: float | None = Field(
        ge=0,
        description="variance between frames over that of the light's own quanta, in "
        "the quieter quarter of the frame; none: too dark, too small or too short",
    )

    @property
    def is_cleaned(self) -> bool:
        """Whether this is less than any camera gives."""
        return self.share is not None and self.share < LEAST_SHARE

    def words(self) -> str:
        """Return what that means, for whoever reads an answer; empty: nothing."""
        if self.share is None or not self.is_cleaned:
            return ""
        return (
            f"its frames carry {100 * self.share:.0f} % of the noise that their light "
            f"alone makes in a camera, so they were denoised, smoothed or averaged "
            f"before (or its offset and photo-electrons a count are not this "
            f"camera's); signals of such frames are not counted: import the raw movie"
        )
