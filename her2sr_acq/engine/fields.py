"""The fields of one run in turn, and of each the units that are still planned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from her2sr_acq.engine.fading import Fading
from her2sr_acq.engine.focusing import Focuser
from her2sr_acq.engine.hold import HoldError, hold_for
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.processing import Processing
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.stopping import StopRule, end_early, has_ended_early
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.engine.unit import UnitTaker
from her2sr_acq.engine.views import UnitView
from her2sr_acq.errors import (
    AcqError,
    CameraStalledError,
    DeviceError,
    FocusError,
    LightError,
    StorageError,
)
from her2sr_acq.plan.estimate import field_bytes
from her2sr_proc.logs import process_at
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.manifest import FieldFacts

log = logging.getLogger(__name__)

BACKOFF_S = (0.5, 1.0)
"""Waits before the second and the third attempt to move the stage."""
IN_A_ROW = 3
"""So many fields or bursts that fail alike, one after the other, hold the run."""


class FieldTaker:
    """Takes fields of one run. Owned by the engine's thread.

    Raises `HoldError` when the run cannot go on before somebody acted, `LightError`
    when the light is not proven off.
    """

    def __init__(
        self,
        station: Station,
        order: RunOrder,
        tracker: Tracker,
        reins: Reins,
        processing: Processing,
        focuser: Focuser,
    ) -> None:
        self._station = station
        self._order = order
        self._tracker = tracker
        self._reins = reins
        self._processing = processing
        self._focuser = focuser
        enquiry = processing.enquiry(reins.rest)
        self._folder = station.data.run(order.id)
        self._fading = Fading(enquiry, tracker)
        plan = order.protocol.stop_when
        self._rule = None
        if plan is not None:
            is_resumed = tracker.view.units_done > 0
            self._rule = StopRule(
                plan, order.tiles, enquiry, tracker, is_resumed=is_resumed
            )
        self._lost_fields = 0
        self._blurred_fields = 0
        self._stalls = 0

    def take_all(self, taker: UnitTaker, tiles: Sequence[FieldFacts]) -> None:
        """Take every unit that is planned, in this order, until a stop is asked for."""
        if has_ended_early(self._folder, self._tracker):
            return
        self._measure_map()
        for tile in tiles:
            if self._tracker.planned(tile.name):
                self._require_free_way()
                if self._reins.stopped.is_set():
                    return
                self._require_room()
                self._take_field(tile, taker)
                if self._ends_early():
                    return

    def _ends_early(self) -> bool:
        """End the run before its next field, where its protocol's rule says so."""
        stop = None if self._rule is None else self._rule.decide(self._order.id)
        if stop is None:
            return False
        end_early(stop, self._folder, self._tracker)
        return True

    def forgive(self) -> None:
        """Begin to count failures anew: somebody looked."""
        self._lost_fields = self._blurred_fields = self._stalls = 0

    def _measure_map(self) -> None:
        """Take what pictures a focus map needs, before any burst."""
        self._tracker.enter("measuring the focus")
        planned = [t for t in self._order.tiles if self._tracker.planned(t.name)]
        try:
            self._focuser.measure(planned, self.reach)
        except HoldError:
            if not self._reins.stopped.is_set():
                raise
        except AcqError as exc:
            self.judge(exc)
            raise HoldError(f"there is no focus map: {exc}") from exc

    def reach(self, tile: FieldFacts) -> None:
        """Go to a field, or raise: `HoldError` for a stop, too."""
        self._require_free_way()
        if self._reins.stopped.is_set():
            raise HoldError("stopped on request")
        if lost := self._move(tile):
            raise FocusError(f"{tile.name} was not reached: {lost}")

    def look(self, tile: FieldFacts) -> None:
        """Go to a tile and bring it about into focus, or raise as `reach`."""
        if self._focuser.owes_map:
            self._measure_map()
        self.reach(tile)
        try:
            self._focuser.glance(tile)
        except (FocusError, LightError, HoldError):
            raise
        except AcqError as exc:
            self.judge(exc)
            raise FocusError(f"{tile.name} was not brought into focus: {exc}") from exc

    def _take_field(self, tile: FieldFacts, taker: UnitTaker) -> None:
        self._tracker.enter("moving the stage", current=tile.name)
        if not self._is_in_reach(tile):
            return
        lost = self._move(tile)
        self._lost_fields = self._lost_fields + 1 if lost else 0
        if lost is None and not self._is_focused(tile):
            return
        for unit in self._tracker.planned(tile.name):
            if lost is not None:
                channel = self._order.channel(unit.channel)
                taker.fail(self._tracker.key_of(unit), channel, lost)
                continue
            self._require_free_way()
            if self._reins.stopped.is_set():
                return
            if not self._is_held(tile):
                break
            self._take_unit(tile, unit, taker)
        if lost is None:
            self._processing.close_field(self._order.id, tile.name)
            self._fading.closed(self._signals(tile))
        if self._lost_fields >= IN_A_ROW:
            raise HoldError(
                f"{self._lost_fields} fields in a row could not be reached ({lost}); "
                f"check the stage, then resume"
            )

    def _signals(self, tile: FieldFacts) -> list[UnitKey]:
        """Return the units of a field whose frames are localized."""
        return [
            self._tracker.key_of(unit)
            for unit in self._tracker.units
            if unit.field == tile.name
            and unit.written
            and self._order.channel(unit.channel).role == "signal"
        ]

    def _is_in_reach(self, tile: FieldFacts) -> bool:
        return self._try_focus(tile, self._focuser.foresee)

    def _is_focused(self, tile: FieldFacts) -> bool:
        self._tracker.enter("focusing", current=tile.name)
        return self._try_focus(tile, self._focuser.focus)

    def _is_held(self, tile: FieldFacts) -> bool:
        return self._try_focus(tile, self._focuser.require_held)

    def _try_focus(self, tile: FieldFacts, act: Callable[[FieldFacts], None]) -> bool:
        """Do something about the focus; what is left of a blurred field is skipped.

        Raises `HoldError` where the protocol asks for a pause, and after several such
        fields in a row.
        """
        try:
            act(tile)
        except LightError:
            raise
        except AcqError as exc:
            self.judge(exc)
            if self._reins.stopped.is_set():
                return False
            self._give_up_focus(tile, exc)
            return False
        if act == self._focuser.focus:
            self._blurred_fields = 0
        return True

    def _give_up_focus(self, tile: FieldFacts, fault: AcqError) -> None:
        why = f"{tile.name} could not be focused: {fault}"
        log.warning("%s", why)
        self._tracker.note("focus not found", field=tile.name, why=str(fault))
        if self._order.protocol.focus.on_failure == "pause":
            raise HoldError(why)
        self._tracker.skip_field(tile.name, why)
        self._blurred_fields += 1
        if self._blurred_fields >= IN_A_ROW:
            raise HoldError(
                f"{self._blurred_fields} fields in a row could not be focused "
                f"({fault}); check oil, slide and focus lock, then resume"
            )

    def _move(self, tile: FieldFacts) -> DeviceError | None:
        """Go to a field, trying again twice; return why it was not reached."""
        fault = None
        for wait_s in (0.0, *BACKOFF_S):
            self._reins.rest(wait_s)
            self._station.guard.pulse()
            try:
                self._station.hardware.stage.move_to(x_um=tile.x_um, y_um=tile.y_um)
            except DeviceError as exc:
                fault = exc
                log.warning("%s was not reached: %s", tile.name, exc)
                self._tracker.note("field not reached", field=tile.name, why=str(exc))
            else:
                return None
            if self._reins.stopped.is_set() or self._reins.tripped is not None:
                break
        return fault

    def _take_unit(self, tile: FieldFacts, unit: UnitView, taker: UnitTaker) -> None:
        key = self._tracker.key_of(unit)
        channel = self._order.channel(unit.channel)
        self._tracker.enter("acquiring", current=f"{key.field}/{key.channel}")
        try:
            with process_at(unit=f"{key.field}/{key.channel}"):
                record, fault = taker.take(key, tile, channel, self._order.protocol)
        except StorageError as exc:
            self._station.room.give_up_reserve()
            raise HoldError(str(exc)) from exc
        if record.written:
            self._processing.close_unit(key)
        self.judge(fault)

    def judge(self, fault: AcqError | None) -> None:
        """Raise what the fault of a burst means for the run, if it means anything."""
        if isinstance(fault, LightError | HoldError):
            raise fault
        if fault is not None and (hold := hold_for(fault)):
            raise hold
        self._stalls = self._stalls + 1 if isinstance(fault, CameraStalledError) else 0
        if self._stalls >= IN_A_ROW:
            raise HoldError(
                f"{self._stalls} bursts in a row stalled ({fault}); check the camera, "
                f"then resume"
            )

    def _require_free_way(self) -> None:
        """Raise what holds the run, before anything is begun that it would spoil."""
        if self._reins.stopped.is_set():
            return
        if self._reins.pause_reason:
            raise HoldError(self._reins.pause_reason)
        if latched := self._station.guard.latched:
            raise HoldError(latched)
        if troubles := self._station.safety.troubles:
            raise HoldError(troubles[0])

    def _require_room(self) -> None:
        needed = field_bytes(self._order.protocol, self._station.config)
        if trouble := self._station.room.trouble(needed):
            raise HoldError(trouble)
