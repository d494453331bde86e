"""Seeded trials: acq comes to harm at a random moment of a run; what is left then?"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kills import KINDS, Harm, Kind, do_harm
from light_times import lit_times, seconds_lit_after
from night_audit import Violation, audit
from nights import Night, night, night_config, night_request, until

from her2sr_acq.engine.views import RunView
from simulators.history import LightHistory

DARK_S = 1.0
STRAY_S = 0.5
"""Light before the first and after the last frame of a burst, at most."""
FRAMES = 220
"""A burst has eleven blocks of 20 frames, so that most harm comes within a burst."""
COLUMNS = 2
UNITS = 2 * COLUMNS
TIME_SCALE = 10.0
RESTART_S = 3.5
"""About the time until acq exposes again; a second harm comes within it."""
BEYOND = 1.15
"""Moments lie within so many times the acquisition: some of them in the processing."""
REST_S = 90.0
RENEW = 20
"""A service is not used for more trials: its guard counts deaths."""
NO_API = ("microscope", "guard", "localizer")


@dataclass(frozen=True)
class Trial:
    """One run that was disturbed, and everything that should not be so."""

    number: int
    kind: Kind
    at_s: float
    """From the order of the run to the harm."""
    dark_s: float | None
    """From the harm to darkness; None: it came too late, or was survived."""
    state: str
    units: dict[str, int]
    """How many units ended in each state."""
    violations: tuple[Violation, ...]
    seconds: float

    @property
    def line(self) -> str:
        """Return one line of a table."""
        dark = "     -" if self.dark_s is None else f"{self.dark_s:6.3f}"
        units = ", ".join(f"{n} {state}" for state, n in self.units.items())
        return (
            f"{self.number:4d} {self.kind:>6} {self.at_s:6.2f} {dark}  "
            f"{self.state:<22} {units}"
        )


class Bench:
    """Carries out trials on services that it starts and ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = night_config(folder, time_scale=TIME_SCALE, dark_silence_s=5.0)
        self._request = night_request(rows=1, columns=COLUMNS, frames=FRAMES)

    def run(self, kinds: Sequence[Kind], *, seed: int) -> Iterator[Trial]:
        """Yield a trial for each kind, at moments that follow from the seed."""
        chance = random.Random(seed)
        done = 0
        while done < len(kinds):
            with ExitStack() as stack:
                data = self._folder / f"data{done}"
                service = stack.enter_context(night(self._config, data, only=NO_API))
                usual_s = self._undisturbed(service)
                for kind in kinds[done : done + RENEW]:
                    trial = self._trial(service, done, kind, chance, usual_s)
                    yield trial
                    done += 1
                    if trial.violations:
                        break  # what follows shall not suffer from it

    def _undisturbed(self, service: Night) -> float:
        """Return the seconds to the last verdict of a run that nothing happens to."""
        began = time.monotonic()
        run = service.control.submit(self._request)
        until(lambda: service.control.run(run.id).units_done == UNITS, within_s=REST_S)
        usual_s = time.monotonic() - began
        view = service.rest(run.id, within_s=REST_S)
        assert view.state == "completed", view
        return usual_s

    def _trial(
        self,
        service: Night,
        number: int,
        kind: Kind,
        chance: random.Random,
        usual_s: float,
    ) -> Trial:
        service.idle(within_s=REST_S)
        wait_s = chance.uniform(0.0, BEYOND * usual_s)
        again_s = chance.uniform(0.0, RESTART_S)
        began = time.monotonic()
        run = service.control.submit(self._request)
        time.sleep(max(0.0, began + wait_s - time.monotonic()))
        deaths = service.guard.status().deaths
        harms = [do_harm(service, kind)]
        if kind == "twice":
            time.sleep(again_s)
            harms.append(do_harm(service, kind))
        view = self._await_end(service, run.id, harms[0])
        service.microscope.heal()
        seconds = time.monotonic() - began
        history = service.microscope.light_history(began)
        deaths = service.guard.status().deaths - deaths
        found = audit(service.folder(view), view, service.control.fields(run.id))
        moments = [m for harm in harms if (m := harm.moment(history)) is not None]
        dark_s = max((seconds_lit_after(history, m) for m in moments), default=0.0)
        wrong = [
            *found.violations,
            *_judge_end(view, history),
            *_judge_light(history, moments, dark_s),
        ]
        told = {
            state: found.count(state) for state in ("complete", "partial", "failed")
        }
        return Trial(
            number,
            kind,
            harms[0].at_s - began,
            dark_s if deaths else None,
            view.state,
            {state: n for state, n in told.items() if n},
            tuple(wrong),
            seconds,
        )

    def _await_end(self, service: Night, run_id: str, harm: Harm) -> RunView:
        """Return the run at its end, once whoever was harmed is gone."""

        def is_gone() -> bool:
            return harm.pid is None or service.acq_pid() != harm.pid

        until(is_gone, within_s=REST_S)
        return service.rest(run_id, within_s=REST_S)


def _judge_end(view: RunView, history: LightHistory) -> list[Violation]:
    wrong = []
    if view.state not in ("completed", "completed_with_faults"):
        wrong.append(Violation("end", f"{view.state}: {view.reason}"))
    bursts = history.lit_bursts()
    if bursts > UNITS:
        wrong.append(Violation("doubled", f"{bursts} bursts for {UNITS} units"))
    return wrong


def _judge_light(
    history: LightHistory, moments: Sequence[float], dark_s: float
) -> list[Violation]:
    wrong = []
    if dark_s > DARK_S:
        wrong.append(Violation("dark", f"dark only after {dark_s:.2f} s"))
    for lit in lit_times(history):
        is_harmed = any(lit.on_s <= moment < lit.off_s for moment in moments)
        if lit.off_s == float("inf"):
            wrong.append(Violation("dark", "light is on after the run"))
        elif lit.outside_s > STRAY_S + (DARK_S if is_harmed else 0.0):
            wrong.append(Violation("dark", f"{lit.outside_s:.2f} s of light, no burst"))
        elif not lit.has_burst and not is_harmed:
            wrong.append(Violation("dark", "a line was lit and no burst came"))
    return wrong


def mixed(trials: int) -> list[Kind]:
    """Return kinds for so many trials: every other a SIGKILL, the others in turn."""
    others = [kind for kind in KINDS if kind != "kill"]
    return [
        "kill" if n % 2 == 0 else others[n // 2 % len(others)] for n in range(trials)
    ]
