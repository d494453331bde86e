"""What is physically there: the specimen's world, light, stage and focus, as one thing.

The camera's thread exposes; the sockets' threads move and switch. Knows no socket and
no ring.

Light that is on while no frame is exposed bleaches too. It is counted in whole quanta
of 30 ms of *wall* time, second for simulated second, each lit stretch rounded down: the
few milliseconds between a controller's commands depend on the machine's load, and a
burst must not. A controller that leaves the light on is not forgiven.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from her2sr_acq.errors import DeviceError
from simulators.crisp import Crisp
from simulators.filterwheel import Wheel
from simulators.lights import LightFaults, Lights
from simulators.motion import Motion
from simulators.protocol import LockOrder
from simulators.world import Light, View

U16 = npt.NDArray[np.uint16]

QUANTUM_S = 0.030
MAX_STRAY = 64


class Specimen(Protocol):
    """The part of `simulators.world.World` that the instrument asks for."""

    def begin_burst(self, view: View) -> None: ...  # noqa: D102
    def expose(  # noqa: D102
        self, view: View, out: U16, *, slot: int | None = None
    ) -> float: ...
    def end_burst(self) -> None: ...  # noqa: D102
    def illuminate(self, view: View, seconds: float) -> None: ...  # noqa: D102
    def rest(self, seconds: float) -> None: ...  # noqa: D102
    def out_of_focus_um(  # noqa: D102
        self, x_um: float, y_um: float, z_um: float
    ) -> float: ...
    def write_truth(self, folder: Path) -> None: ...  # noqa: D102


class Instrument:
    """The specimen under light, stage and focus."""

    def __init__(  # noqa: PLR0913 - each is a part of the bench
        self,
        world: Specimen,
        *,
        stage: Motion,
        crisp: Crisp,
        wheel: Wheel,
        clock: Callable[[], float],
        faults: LightFaults | None = None,
        interlock_cuts: bool = False,
        is_gated: bool = False,
    ) -> None:
        self.stage = stage
        self.focus = crisp.focus
        self.crisp = crisp
        self.wheel = wheel
        self.lights = Lights(
            clock,
            before_change=self._count_stray,
            faults=faults,
            interlock_cuts=interlock_cuts,
        )
        self._clock = clock
        self._is_gated = is_gated
        self._world = world
        self._world_lock = threading.Lock()
        self._lock = threading.Lock()
        self._is_busy = False
        self._counted_until = clock()
        """Up to here every bit of light is accounted for."""
        self._stray: deque[tuple[View, float]] = deque()
        self._simulated_s = 0.0
        self._is_burst = False
        self._held_um: float | None = None

    @property
    def simulated_s(self) -> float:
        """Simulated seconds since the microscope was started."""
        return self._simulated_s

    def seize(self) -> None:
        """Take light for the burst's own from now on; what fell before has strayed."""
        self._count_stray()
        with self._lock:
            self._is_busy = True

    def begin_burst(self, exposure_s: float) -> None:
        """Tell the world that frames follow."""
        with self._world_lock:
            self._absorb_stray()
            self._is_burst = False  # its plane is that of now
            view = self.view(exposure_s)
            self._is_burst = True
            self._world.begin_burst(view)

    def expose(self, exposure_s: float, out: U16, *, slot: int | None = None) -> float:
        """Expose one frame into ``out``; return its start in simulated seconds.

        ``slot`` names ``out`` when nobody else writes to it until the burst is over.
        """
        with self._world_lock:
            t_s = self._world.expose(self.view(exposure_s), out, slot=slot)
        self._simulated_s += exposure_s
        return t_s

    def end_burst(self) -> None:
        """Tell the world that the burst is over. Light strays after `release`."""
        with self._world_lock:
            self._is_burst = False
            self._world.end_burst()

    def release(self) -> None:
        """Let time pass again: from now on light strays.

        Until here the simulator was busy with the burst and its truth, which takes
        wall time that no microscope would take.
        """
        with self._lock:
            self._is_busy = False
            self._counted_until = self._clock()

    def move_stage(self, x_um: float, y_um: float) -> float:
        """Set out for a place on the slide; return the simulated seconds it takes."""
        takes_s = self._move(self.stage, (x_um, y_um))
        self.crisp.moved_to((x_um, y_um))
        return takes_s

    def move_focus(self, z_um: float) -> float:
        """Set out for a plane; return the simulated seconds it takes."""
        self.crisp.drive_taken()
        return self._move(self.focus, (z_um,))

    def turn_wheel(self, place: float) -> None:
        """Set out for a filter; the slide does not notice such short moves.

        Raises `DeviceError` for one that there is not.
        """
        try:
            self.wheel.turn(place)
        except ValueError as exc:
            raise DeviceError(str(exc)) from exc

    def order_lock(self, order: LockOrder) -> None:
        """Tell the focus lock what to do. Raises `DeviceError` for what it cannot."""
        if order.offset_um is not None:
            self.crisp.offset_um = order.offset_um
        if order.state is not None:
            x_um, y_um = self.stage.position_um()
            try:
                self.crisp.set_state(order.state, (x_um, y_um))
            except ValueError as exc:
                raise DeviceError(str(exc)) from exc

    @property
    def z_um(self) -> float:
        """Where the focus is: held by its lock, or where its drive is."""
        return self.crisp.z_um()

    def write_truth(self, folder: Path) -> None:
        """Write what is really there, with all light counted that has fallen."""
        self._count_stray()
        with self._world_lock:
            self._absorb_stray()
            self._world.write_truth(folder)

    def out_of_focus_um(self) -> float:
        """Return how far the plane in focus lies from the middle of the section."""
        x_um, y_um = self.stage.position_um()
        return self._world.out_of_focus_um(x_um, y_um, self.z_um)

    def view(self, exposure_s: float) -> View:
        """Return what the camera would see now."""
        x_um, y_um = self.stage.position_um()
        is_held = self.crisp.holds
        if not (is_held and self._is_burst and self._held_um is not None):
            # In a burst the lock makes up for the drift, which the world is told.
            self._held_um = self.z_um
        z_um = self._held_um
        lights = tuple(
            Light(
                nm=line.nm,
                power=line.percent / 100.0 * self.lights.faults.share_of(line.nm),
            )
            for line in self.lights.states()
            if line.on and line.percent > 0.0
        )
        # a weak line beside a strong one is seen through the strong one's filter
        strongest = max(lights, key=lambda light: light.power, default=None)
        return View(
            x_um=x_um,
            y_um=y_um,
            z_um=z_um,
            exposure_s=exposure_s,
            lights=lights,
            is_held=is_held,
            passes=1.0 if strongest is None else self.wheel.share_of(strongest.nm),
        )

    def _move(self, drive: Motion, target_um: tuple[float, ...]) -> float:
        self._count_stray()
        takes_s = drive.move(target_um)
        with self._world_lock:
            self._absorb_stray()
            self._world.rest(takes_s)
        self._simulated_s += takes_s
        return takes_s

    def _count_stray(self) -> None:
        """Note the light since the last change, before light or place changes.

        Only noted: the world is slow, and switching off must not wait for it.
        """
        with self._lock:
            if not self._is_busy:
                self._note_stray(self.view(QUANTUM_S))
        if len(self._stray) > MAX_STRAY:
            with self._world_lock:
                self._absorb_stray()

    def _note_stray(self, view: View) -> None:
        now = self._clock()
        if self._is_gated or not view.lights:
            self._counted_until = now
            return
        seconds = QUANTUM_S * int((now - self._counted_until) / QUANTUM_S)
        if seconds:
            self._counted_until += seconds
            self._stray.append((view, seconds))

    def _absorb_stray(self) -> None:
        while self._stray:
            view, seconds = self._stray.popleft()
            self._world.illuminate(view, seconds)
            self._simulated_s += seconds
