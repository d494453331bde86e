"""One long run of small frames, watched from outside, and what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from night_audit import Audit, audit
from nights import (
    EXPOSURE_MS,
    Night,
    night,
    night_config,
    night_request,
    seconds_between,
)
from vitals import GROWTH_MB, Sampler

from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import FieldView, RunView

TIME_SCALE = 50.0
LOOK_S = 1.0


@dataclass(frozen=True)
class Soak:
    """The figures of one run that is over."""

    view: RunView
    fields: list[FieldView]
    audit: Audit
    sampler: Sampler
    seconds: float
    """From the order to the end of processing."""
    acquired_s: float
    """From the order to the last verdict."""
    deaths: int
    trips: tuple[str, ...]
    lit_outside_s: float
    bursts: int
    violations: list[str] = field(default_factory=list)

    @property
    def unit_s(self) -> float:
        """Median seconds from the beginning of a unit to its verdict."""
        return median(seconds_between(u.started_utc, u.ended_utc) for u in self._units)

    @property
    def overhead_s(self) -> float:
        """Median seconds of a field beyond the exposure of its frames."""
        begun = [tile.units[0].started_utc for tile in self.fields]
        exposed_s = sum(u.requested for u in self.fields[0].units) * EXPOSURE_MS / 1000
        return median(seconds_between(a, b) for a, b in pairwise(begun)) - (
            exposed_s / TIME_SCALE
        )

    @property
    def _units(self) -> list:
        return [unit for tile in self.fields for unit in tile.units]


def soak(
    folder: Path,
    *,
    rows: int,
    columns: int,
    frames: int,
    within_s: float,
    growth_mb: float = GROWTH_MB,
) -> Soak:
    """Run a night of ``rows x columns`` fields, then audit everything it left."""
    config = night_config(folder, time_scale=TIME_SCALE)
    request = night_request(rows=rows, columns=columns, frames=frames)
    with night(config, folder / "data") as service:
        began = time.monotonic()
        run = service.control.submit(request)
        with Sampler(service.launcher.pids) as sampler:
            acquired_s = _watch(service, run.id, began, within_s)
        view = service.control.run(run.id)
        seconds = time.monotonic() - began
        fields = service.control.fields(run.id)
        history = service.microscope.light_history()
        status = service.guard.status()
        found = audit(service.folder(view), view, fields)
    trips = _trips(service)
    bursts = history.lit_bursts()
    result = Soak(
        view,
        fields,
        found,
        sampler,
        seconds,
        acquired_s,
        status.deaths,
        trips,
        history.lit_outside_s,
        bursts + history.forgotten,
    )
    result.violations.extend(sampler.violations(growth_mb=growth_mb))
    result.violations.extend(_judge(result, rows * columns * 2, frames))
    return result


def _watch(service: Night, run_id: str, began: float, within_s: float) -> float:
    """Follow a run to its end; return when its last unit had its verdict."""
    acquired_s = 0.0
    while True:
        service.launcher.check()
        view = service.look(run_id)
        now = time.monotonic() - began
        if view is not None:
            if not acquired_s and view.units_done == view.units_total:
                acquired_s = now
            if view.state in FINAL:
                return acquired_s
        assert now < within_s, f"not over after {within_s:g} s: {view}"
        time.sleep(LOOK_S)


def _trips(service: Night) -> tuple[str, ...]:
    """Return the lines of the safety log; an undisturbed night has none."""
    path = service.data.safety
    return tuple(path.read_text().splitlines()) if path.exists() else ()


def _judge(soak: Soak, units: int, frames: int) -> list[str]:
    wrong = [v.text for v in soak.audit.violations]
    wrong += [f"safety log: {line}" for line in soak.trips]
    if soak.deaths:
        wrong.append(f"acq died {soak.deaths} times")
    if soak.view.state != "completed":
        wrong.append(f"the run is {soak.view.state}: {soak.view.reason}")
    counts = soak.audit.accounting
    taps = {
        "requested": counts.requested,
        "delivered": counts.delivered,
        "written": counts.written,
        "localizable": counts.localizable,
        "localized": counts.localized,
        "readable": soak.audit.readable,
    }
    wrong += [f"{n} frames {tap}" for tap, n in taps.items() if n != units * frames]
    if soak.bursts != units:
        wrong.append(f"the microscope saw {soak.bursts} bursts for {units} units")
    return wrong
