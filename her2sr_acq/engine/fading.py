"""Whether fields give ever fewer localizations over a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from her2sr_acq.engine.enquiry import Enquiry, Unknown
from her2sr_acq.engine.tracker import Tracker
from her2sr_proc.schema.block import UnitKey

log = logging.getLogger(__name__)

LOOKED_AT = 5
"""Fields at the start whose median is the measure, and of late that are held to it."""
FADED = 0.5


class Fading:
    """Judges the fields of one run, one field late: the last is still localized."""

    def __init__(self, enquiry: Enquiry, tracker: Tracker) -> None:
        self._enquiry = enquiry
        self._tracker = tracker
        self._waiting: list[UnitKey] = []
        self._counts: dict[str, list[int]] = {}
        self._told: set[str] = set()

    def closed(self, units: Sequence[UnitKey]) -> None:
        """Take the signal units of a field that is done; ask for those before it."""
        due, self._waiting = self._waiting, list(units)
        for unit in due:
            found = self._enquiry.localizations(unit)
            if isinstance(found, Unknown):
                log.info("%s: %s", found.instead, found.why)
                return  # who does not answer once is not waited for again now
            if len(found.blocks) == found.written:
                self._judge(unit.channel, sum(found.blocks.values()))

    def _judge(self, channel: str, count: int) -> None:
        counts = self._counts.setdefault(channel, [])
        counts.append(count)
        if len(counts) < 2 * LOOKED_AT or channel in self._told:
            return
        first = float(np.median(counts[:LOOKED_AT]))
        late = float(np.median(counts[-LOOKED_AT:]))
        if late < FADED * first:
            self._told.add(channel)
            said = (
                f"{channel}: the last {LOOKED_AT} fields gave {late:.0f} localizations "
                f"each, and the first {LOOKED_AT} gave {first:.0f}; look at the "
                f"buffer, the focus and the light"
            )
            log.warning("%s", said)
            self._tracker.note("alarm", why=said)
