"""Which tiles of a run are taken: looks, has them chosen, writes the choice down.

A choice stands in the manifest before anything follows from it, and is made once: a run
that goes on after a crash keeps it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

from her2sr_acq.engine import choice as rules
from her2sr_acq.engine.ballot import Ballot
from her2sr_acq.engine.choice import Choice
from her2sr_acq.engine.choice_views import SelectionRequest
from her2sr_acq.engine.hold import HoldError
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.overview import Overviewer
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.errors import AcqError, SelectionError
from her2sr_acq.plan.limits import overlapped
from her2sr_acq.plan.select import SelectPlan
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.selection import Overview, Selection
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest, write_manifest

TICK_S = 0.25


class Selector:
    """The choice of one run. Owned by the engine's thread."""

    def __init__(
        self,
        station: Station,
        order: RunOrder,
        tracker: Tracker,
        reins: Reins,
        ballot: Ballot,
        overviewer: Overviewer,
    ) -> None:
        self._station = station
        self._order = order
        self._tracker = tracker
        self._reins = reins
        self._ballot = ballot
        self._overviewer = overviewer
        self._folder: RunFolder = station.data.run(order.id)
        self._selection: Selection | None = None

    @property
    def left_out(self) -> frozenset[str]:
        """Fields that were not chosen, and so are not missed."""
        return frozenset(self._selection.skipped if self._selection else ())

    def settle(
        self,
        *,
        reach: Callable[[FieldFacts], None],
        judge: Callable[[AcqError | None], None],
    ) -> tuple[FieldFacts, ...]:
        """Return the tiles in order of acquisition, those not chosen at the end.

        Raises `SelectionError` when there is nothing to take, `HoldError` for whatever
        holds the run.
        """
        plan = self._order.protocol.select
        if plan is None:
            return self._order.tiles
        if self._selection is None:
            self._selection = read_manifest(self._folder).selection
        if self._selection is None:
            if not self._awaits_a_choice():
                return self._order.tiles
            overview = self._overviewer.take(plan, reach=reach, judge=judge)
            self._selection = self._decided(plan, overview)
            self._write(self._selection)
        self._leave_out(self._selection)
        chosen = self._selection.chosen
        places = {tile.name: tile for tile in self._order.tiles}
        others = (t for t in self._order.tiles if t.name not in chosen)
        return (*(places[name] for name in chosen), *others)

    def _awaits_a_choice(self) -> bool:
        """Whether a first attempt is planned: a deliberate second needs no choice."""
        return any(
            unit.attempt == 1
            for tile in self._order.tiles
            for unit in self._tracker.planned(tile.name)
        )

    def _decided(self, plan: SelectPlan, overview: Overview) -> Selection:
        by, choice = "rule", self._by_rule(plan, overview)
        if choice is None:
            by, choice = self._by_person(plan, overview)
        places = {tile.name: tile for tile in self._order.tiles}
        areas = rules.areas_of([places[n] for n in choice.chosen], self._size_um)
        return Selection(
            choose=plan.choose,
            by=by,
            rule=choice.rule,
            utc=self._station.clock.stamp(),
            seed=plan.seed if plan.choose == "random" else None,
            areas=areas,
            chosen=choice.chosen,
            skipped=choice.skipped,
            overview=overview,
        )

    def _by_rule(self, plan: SelectPlan, overview: Overview) -> Choice | None:
        """Return what a rule chooses; None where a person does."""
        if plan.choose == "random":
            return rules.drawn(
                overview,
                self._order.tiles,
                self._size_um,
                fields=plan.fields,
                areas=plan.areas,
                seed=plan.seed,
            )
        if plan.choose == "regions":
            inside = overlapped(
                plan, self._order.tiles, self._order.protocol, self._station.config
            )
            return rules.of_regions(overview, [tile.name for tile in inside])
        return rules.everything(overview) if plan.choose == "all" else None

    def _by_person(self, plan: SelectPlan, overview: Overview) -> tuple[str, Choice]:
        """Wait in the dark until somebody has named fields."""
        clock = self._station.clock
        until = clock.monotonic() + 60.0 * plan.wait_min
        said = (clock.utc() + timedelta(minutes=plan.wait_min)).astimezone(UTC)
        stamp = said.isoformat(timespec="seconds").replace("+00:00", "Z")
        self._station.hardware.dark()
        # Whoever opens an interlock now finds no light on, and need not be asked.
        self._station.safety.attach(None)
        self._tracker.await_selection(stamp)
        names = frozenset(tile.name for tile in self._order.tiles)
        try:
            with self._ballot.open_for(names, most=plan.fields):
                return self._voted(plan, overview, until)
        finally:
            self._tracker.await_selection(None)
            self._station.safety.attach(self._reins)

    def _voted(
        self, plan: SelectPlan, overview: Overview, until: float
    ) -> tuple[str, Choice]:
        clock = self._station.clock
        while True:
            if (vote := self._ballot.wait(TICK_S)) is not None:
                return vote.by, self._named(plan, overview, vote)
            self._station.guard.pulse()
            if self._reins.stopped.is_set():
                raise HoldError("stopped on request")
            if self._reins.pause_reason:
                raise HoldError(self._reins.pause_reason)
            if clock.monotonic() >= until:
                if (vote := self._ballot.close(utc=clock.stamp())) is not None:
                    return vote.by, self._named(plan, overview, vote)
                raise SelectionError(
                    f"nobody chose fields within {plan.wait_min:g} min, so none was "
                    f"taken; the overview is kept: submit the run again and choose, or "
                    f"raise select.wait_min"
                )

    def _named(
        self, plan: SelectPlan, overview: Overview, vote: SelectionRequest
    ) -> Choice:
        """Return a person's choice; whether it is what was suggested is told."""
        rule = f"chosen by {vote.by}"
        why_not = f"not {rule}"
        offered = rules.suggested(overview, self._order.tiles, self._size_um, plan)
        if vote.fields == offered.chosen:
            rule = f"{rule} as suggested: {offered.rule}"
        return rules.named(overview, vote.fields, rule=rule, why_not=why_not)

    def _write(self, selection: Selection) -> None:
        """Put the choice into the manifest, then into the events."""
        manifest = read_manifest(self._folder)
        try:
            write_manifest(
                self._folder, manifest.model_copy(update={"selection": selection})
            )
        except OSError as exc:
            raise HoldError(f"the choice cannot be written: {exc.strerror}") from exc
        self._tracker.note(
            "fields chosen",
            choose=selection.choose,
            by=selection.by,
            rule=selection.rule,
            seed=selection.seed,
            areas=selection.areas,
            chosen=list(selection.chosen),
            scores={t.field: round(t.score, 5) for t in selection.overview.tiles},
        )

    def _leave_out(self, selection: Selection) -> None:
        """Skip what was not chosen; a deliberate second attempt stays planned."""
        for field, why in selection.skipped.items():
            if any(unit.attempt == 1 for unit in self._tracker.planned(field)):
                self._tracker.leave_out(field, why)

    @property
    def _size_um(self) -> tuple[float, float]:
        camera = self._station.config.camera
        return frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
