"""What a person does by hand between runs: stepping, marking, looking.

Every act is checked before anything moves, and done on the engine's thread. Marks are
kept until the service ends.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from her2sr_acq.devices.ports import Frame
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.dose import DoseBook
from her2sr_acq.engine.hand_views import (
    Jog,
    Mark,
    Marks,
    Picture,
    SnapRequest,
    StageView,
    Travel,
)
from her2sr_acq.engine.outcome import Light
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.slot import Slot
from her2sr_acq.errors import DoseError, PlanRejectedError, RunConflictError
from her2sr_acq.plan import limits
from her2sr_acq.plan.models import CameraPlan, Channel
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.manifest import FieldFacts

Answer = TypeVar("Answer")

HARDWARE_S = 8.0
"""Deadline of one act: below that of the control socket, so that its error arrives."""
LIVE_CEILING_S = 2.0
"""Seconds of full power, by line, that looking may spend on one place."""
ROUNDING_S = 1e-9
"""Of a sum of doses: looks that add up to the ceiling are allowed."""
MOST_MARKS = 1000


class Handwork:
    """The microscope in a person's hands."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._station = slot.station
        self._marks: list[Mark] = []
        self._keeping = threading.Lock()
        """Of the marks: two that are set at once are both kept."""
        self._book = DoseBook(slot.station.config, None)

    def where(self) -> StageView:
        """Return where stage and focus stand, and what the focus lock says."""
        return self._ask(self._read)

    def jog(self, jog: Jog) -> StageView:
        """Step stage and focus; return where they stand.

        Raises `PlanRejectedError` for a step beyond the limits, before anything moved.
        """
        return self._ask(partial(self._step, jog))

    def mark(self, name: str) -> Marks:
        """Keep the present place under a name, such as a corner of a region."""
        view = self.where()  # not under the lock: it waits for the hardware
        place = Mark(name=name, x_um=view.x_um, y_um=view.y_um, z_um=view.z_um)
        with self._keeping:
            kept = [mark for mark in self._marks if mark.name != name]
            if len(kept) >= MOST_MARKS:
                raise PlanRejectedError(
                    f"{MOST_MARKS} places are marked already; clear them first"
                )
            self._marks = [*kept, place]
            return self.marks()

    def marks(self) -> Marks:
        """Return the places marked, and the rectangle that holds them."""
        camera = self._station.config.camera
        tile_um = frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
        return Marks.of(tuple(self._marks), tile_um=tile_um)

    def clear_marks(self) -> Marks:
        """Forget every mark."""
        with self._keeping:
            self._marks = []
            return self.marks()

    def snap(self, asked: SnapRequest) -> Picture:
        """Take one picture under a permit; return it, and the dose of the place.

        Raises `PlanRejectedError` for light beyond a limit, `DoseError` when the place
        has had what looking may spend, before anything is lit.
        """
        channel = Channel(
            name="live",
            probe="none",
            laser_nm=asked.laser_nm,
            power_percent=asked.power_percent,
            exposure_ms=asked.exposure_ms,
            frames=1,
            role="signal",
        )
        limits.check_channel(channel, self._station.config)
        self._slot.refuse_if_latched()
        return self._ask(partial(self._expose, channel))

    def _ask(self, act: Callable[[], Answer]) -> Answer:
        with self._slot.lock:
            self._slot.refuse_if_closed()
            if (active := self._slot.active) is not None:
                raise RunConflictError(
                    f"run {active.view.id} has the microscope; it is in your hands "
                    f"after it"
                )
            return self._slot.worker.ask(act, timeout_s=HARDWARE_S)

    def _read(self) -> StageView:
        hardware = self._station.hardware
        x_um, y_um = hardware.stage.position_um()
        return StageView(
            x_um=x_um,
            y_um=y_um,
            z_um=hardware.focus.position_um(),
            lock="" if hardware.lock is None else hardware.lock.state(),
            x_limits_um=Travel.of(self._station.config.stage.x_um),
            y_limits_um=Travel.of(self._station.config.stage.y_um),
            z_limits_um=Travel.of(self._station.config.focus.z_um),
            look_ceiling_s=LIVE_CEILING_S,
        )

    def _step(self, jog: Jog) -> StageView:
        here = self._read()
        config = self._station.config
        targets = (
            ("x", here.x_um + jog.dx_um, config.stage.x_um),
            ("y", here.y_um + jog.dy_um, config.stage.y_um),
            ("z", here.z_um + jog.dz_um, config.focus.z_um),
        )
        for axis, value, (low, high) in targets:
            if not low <= value <= high:
                raise PlanRejectedError(
                    f"the step would end at {axis} = {value:.2f} um, and its limits "
                    f"are {low:g} to {high:g} um; take a shorter one"
                )
        hardware = self._station.hardware
        if jog.dx_um or jog.dy_um:
            hardware.stage.move_to(x_um=targets[0][1], y_um=targets[1][1])
        if jog.dz_um:
            hardware.focus.move_by(dz_um=jog.dz_um)
        return self._read()

    def _expose(self, channel: Channel) -> Picture:
        here = self._read()
        tile = FieldFacts(
            name="r00_c00", row=0, column=0, x_um=here.x_um, y_um=here.y_um
        )
        had_s = self._book.at(here.x_um, here.y_um, channel.laser_nm)
        more_s = channel.exposure_ms / 1000.0 * channel.power_percent / 100.0
        if had_s + more_s > LIVE_CEILING_S + ROUNDING_S:
            raise DoseError(
                f"looking has spent {had_s:.4g} s of full power at "
                f"{channel.laser_nm} nm on this place, a look of {more_s:.4g} s would "
                f"pass {LIVE_CEILING_S:g} s, the most; move on, or take it as a field"
            )
        taken: list[Frame] = []

        def add(frame: Frame) -> bool:
            taken.append(frame)
            return True

        station = self._station
        reins = Reins()
        burst = Burst(
            station.hardware,
            station.config,
            clock=station.clock,
            light=Light(station.guard, station.safety, reins),
            dose=self._book,
        )
        # An interlock that opens now is told to this look as it would be to a run.
        station.safety.attach(reins)
        try:
            outcome = burst.take(tile, channel, CameraPlan(), add, purpose="live")
        finally:
            station.safety.attach(None)
        if outcome.fault is not None:
            raise outcome.fault
        adu = taken[0].adu
        return Picture(
            height=adu.shape[0],
            width=adu.shape[1],
            adu_base64=base64.b64encode(adu.astype("<u2").tobytes()).decode(),
            dose_s=self._book.at(here.x_um, here.y_um, channel.laser_nm),
            ceiling_s=LIVE_CEILING_S,
            stage=here,
        )
