"""Which part of a section a colour sees, by a stated model. Numbers only.

A point dz out of focus has a spot sqrt(1 + (dz/d)^2) times as wide, so its peak is
1 / (1 + (dz/d)^2) of that in focus. It counts as seen while its peak is above a limit:
|dz| <= d sqrt(1/limit - 1). The plane in focus lies at the middle of the section, plus
what the plan adds for the channel, less how far this colour's focus lies from the
reference's.
"""

from __future__ import annotations

import math

SEEN = 0.1
"""Peak over that in focus from which a point counts as seen."""


def seen_share(
    *, section_um: float, focal_depth_um: float, plane_um: float, seen: float = SEEN
) -> float:
    """Return the share of a section's depth that is seen, 0 to 1.

    Parameters
    ----------
    section_um : float
        Thickness of the section.
    focal_depth_um : float
        d above: measured on beads.
    plane_um : float
        The plane in focus, over the middle of the section.
    seen : float
        Peak over that in focus from which a point counts as seen.
    """
    reach = focal_depth_um * math.sqrt(1.0 / seen - 1.0)
    half = section_um / 2.0
    top, bottom = min(half, plane_um + reach), max(-half, plane_um - reach)
    return max(0.0, top - bottom) / section_um
