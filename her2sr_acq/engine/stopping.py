"""Ends a run early by its protocol's rule: on counts and widths, at fixed looks.

What is counted is asked of the localizer after every field. Without an answer the run
goes on: a field too many costs time, one too few costs the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from her2sr_acq.engine.enquiry import Enquiry, Scorable, Unknown
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.plan.stopping import AREAS, StopPlan, separate_areas
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.results import EarlyStop
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest, write_manifest

log = logging.getLogger(__name__)


class StopRule:
    """Watches one run. Used by the engine's thread alone."""

    def __init__(
        self,
        plan: StopPlan,
        tiles: Sequence[FieldFacts],
        enquiry: Enquiry,
        tracker: Tracker,
        *,
        is_resumed: bool,
    ) -> None:
        """``is_resumed``: looks that are behind it are not taken again."""
        self._plan = plan
        self._places = {tile.name: (tile.x_um, tile.y_um) for tile in tiles}
        self._enquiry = enquiry
        self._tracker = tracker
        self._taken: set[int] = set()
        self._is_blind = is_resumed

    def decide(self, run: str) -> EarlyStop | None:
        """Return why the run ends here, or None: it goes on."""
        found = self._enquiry.scorable(run)
        if isinstance(found, Unknown):
            log.info("%s: %s", found.instead, found.why)
            return None
        due = {n for n in self._plan.places if n <= found.nuclei} - self._taken
        if not due:
            return None
        held = [self._places[name] for name, n in found.fields.items() if n]
        areas = separate_areas(held, self._plan.areas_apart_um)
        if areas < AREAS:
            return None  # the look waits for a second area
        self._taken |= due
        look = max(due)
        is_met = self._is_met(found)
        self._tracker.note(
            "look",
            look=look,
            nuclei=found.nuclei,
            areas=areas,
            met=is_met,
        )
        return self._stop(look, areas, found) if is_met else None

    def _is_met(self, found: Scorable) -> bool:
        """Return whether the rule is met; a width only at looks taken in time."""
        plan = self._plan
        was_blind, self._is_blind = self._is_blind, False
        if plan.nuclei is not None and found.nuclei < plan.nuclei:
            return False
        if plan.width is None:
            return True
        return found.width is not None and found.width <= plan.width and not was_blind

    def _stop(self, look: int, areas: int, found: Scorable) -> EarlyStop | None:
        fields = self._tracker.fields
        left = sum(
            all(unit.state is UnitState.PLANNED for unit in field.units)
            for field in fields
        )
        if not left:
            return None  # it is at its end anyway
        width = found.width if self._plan.width is not None else None
        # of the rule, not of the slide: a measured width would tell of the ratio
        narrow = (
            ""
            if width is None
            else f", and an interval of at most {self._plan.width:g}"
        )
        return EarlyStop(
            reason=f"stopped early by the protocol's rule: {found.nuclei} scorable "
            f"nuclei in {areas} areas at the look at {look}{narrow}",
            look=look,
            nuclei=found.nuclei,
            interval_width=width,
            areas=areas,
            fields_taken=len(fields) - left,
            fields_left=left,
        )


def end_early(stop: EarlyStop, folder: RunFolder, tracker: Tracker) -> None:
    """Say in events and manifest that a run stops here, then withdraw the rest."""
    told = stop.model_dump(mode="json", exclude={"interval_width"})
    tracker.note("stopped early", **told)
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"stopped_early": stop}))
    tracker.withdraw_planned(stop.reason)


def has_ended_early(folder: RunFolder, tracker: Tracker) -> bool:
    """Withdraw the rest of a run that had stopped early before a restart.

    A further attempt that somebody asked for since is taken all the same.
    """
    stop = read_manifest(folder).stopped_early
    if stop is None:
        return False
    if any(u.attempt > 1 and u.state is UnitState.PLANNED for u in tracker.units):
        return False
    tracker.withdraw_planned(stop.reason)
    return True
