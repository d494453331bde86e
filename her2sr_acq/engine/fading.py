"""Whether fields give ever fewer localizations over a run.

The rule is by ranks alone: the last few fields against the first, so that it needs to
know nothing of how fields scatter. In fields that are alike, each look is wrong once
in 3,003 times (5 of 15 in one order), and a channel of 100 fields at most in 3 % of
the nights (86 looks; fewer in truth, since looks share fields).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from her2sr_acq.engine.enquiry import Enquiry, Unknown
from her2sr_acq.engine.tracker import Tracker
from her2sr_proc.schema.block import UnitKey

log = logging.getLogger(__name__)

FIRST, LAST = 10, 5
"""Fields at the start that are the measure, and of late that are held to it."""
FADED = 0.75
"""Less than this is worth a person's look, however sure it is."""
MOST_WAITING = 60
"""Units whose summary is still to come; older ones are given up."""


def has_faded(counts: Sequence[int]) -> bool:
    """Return whether each of the last fields gave less than each of the first.

    And by their medians so much less that it matters.
    """
    if len(counts) < FIRST + LAST:
        return False
    first, last = counts[:FIRST], counts[-LAST:]
    if max(last) >= min(first):
        return False
    return bool(np.median(last) < FADED * np.median(first))


class Fading:
    """Judges the fields of one run as their summaries come."""

    def __init__(self, enquiry: Enquiry, tracker: Tracker) -> None:
        self._enquiry = enquiry
        self._tracker = tracker
        self._waiting: list[UnitKey] = []
        self._counts: dict[str, list[int]] = {}
        self._told: set[str] = set()

    def closed(self, units: Sequence[UnitKey]) -> None:
        """Take the signal units of a field that is done; ask for those before it."""
        due, self._waiting = self._waiting, []
        for n, unit in enumerate(due):
            found = self._enquiry.summary(unit)
            if isinstance(found, Unknown):
                # its table is not made yet, or nobody answers: not asked again now
                log.info("%s: %s", found.instead, found.why)
                self._waiting = due[n:]
                break
            self._judge(unit.channel, found.localizations)
        self._waiting = [*self._waiting, *units][-MOST_WAITING:]

    def _judge(self, channel: str, count: int) -> None:
        counts = self._counts.setdefault(channel, [])
        counts.append(count)
        if channel in self._told or not has_faded(counts):
            return
        self._told.add(channel)
        said = (
            f"{channel}: each of the last {LAST} fields gave fewer localizations "
            f"(median {np.median(counts[-LAST:]):.0f}) than each of the first {FIRST} "
            f"(median {np.median(counts[:FIRST]):.0f}); look at the buffer, the focus "
            f"and the light"
        )
        log.warning("%s", said)
        self._tracker.alarm(said)
