"""How many frames of a unit were fitted as ensemble light, as its table says.

Decision 22: such a frame shows blobs of many dyes; its localizations are their middles.
"""

from __future__ import annotations

from collections.abc import Mapping

KEY = "ensemble_light_frames"


def light_metadata(frames: int) -> dict[str, str]:
    """Return what a table's file says of it."""
    return {KEY: str(frames)}


def light_frames(metadata: Mapping[str, str]) -> int | None:
    """Return what a table's file says.

    None where its profile tells no such frames apart, and in tables of before.
    Raises `ValueError` for a word that is no number.
    """
    said = metadata.get(KEY)
    return None if said is None else int(said)
