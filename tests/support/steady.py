"""Whether memory grows from burst to burst, or took a step once.

The rule: growth is what a process goes on taking. Two things are looked for, and the
larger of them counts:

within   the rise from the first third of a burst to its last, a second; of all bursts
         the middle one, times the seconds from the first burst to the end of the last.
         What is left over by every frame shows in every burst.
between  the rise of the middle memory of a burst over that of the burst before; of
         all rises the middle one, times their number. What is left over by every burst
         shows in every rise.

Of an even number the lower middle one. So what comes once, in a burst or between two
(an import, a buffer that is taken and kept), is no growth, however large: it is for the
peak to judge. A burst of fewer than `LEAST` samples tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median, median_low

from vitals import Sample

LEAST = 9
"""Samples of a burst, three a third."""
Span = tuple[float, float]
"""Begin and end of a burst, in seconds of the samples' clock."""


def steady_growth_mb(samples: Sequence[Sample], bursts: Sequence[Span]) -> float | None:
    """Return by how much memory grew from burst to burst; None where none can tell."""
    seen = [[s for s in samples if begin <= s.at_s <= end] for begin, end in bursts]
    seen = [of_burst for of_burst in seen if len(of_burst) >= LEAST]
    if not seen:
        return None
    lasted_s = seen[-1][-1].at_s - seen[0][0].at_s
    within = lasted_s * median_low(_slope_mb_s(of_burst) for of_burst in seen)
    levels = [median(s.rss_mb for s in of_burst) for of_burst in seen]
    rises = [after - before for before, after in pairwise(levels)]
    between = len(rises) * median_low(rises) if rises else within
    return max(within, between)


def _slope_mb_s(samples: Sequence[Sample]) -> float:
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    rise_mb = fmean(s.rss_mb for s in last) - fmean(s.rss_mb for s in first)
    return rise_mb / (fmean(s.at_s for s in last) - fmean(s.at_s for s in first))
