"""One field in real time on the packaged simulated microscope, watched from outside."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from night_audit import Audit, audit
from nights import Night, night, seconds_between
from steady import Span, steady_growth_mb
from vitals import Sampler

from her2sr_acq.config import resolve
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import FieldView, RunRequest, RunView
from her2sr_acq.plan import load
from her2sr_acq.runtime import LOCALIZER, address
from her2sr_acq.stream.envelope import ask
from her2sr_proc.store.layout import RunFolder
from simulators.history import LightHistory

LOOK_S = 1.0
LAG_S = 2.0
"""The localizer may be behind the disk by so much while frames are taken."""
DOSE_SHARE = 0.001
"""The ledger of light may differ from what was asked for by so much of it."""
LATE_SHARE = 0.02
"""A burst may last so much longer than its exposures, besides its start."""
START_S = 2.0
GROWTH_MB = 10.0
PEAK_MB = 2000.0


def one_field(frames: int, nuclei_frames: int) -> RunRequest:
    """Return the packaged protocol `demo`, of one field in the middle of the slide."""
    packaged = load.packaged("demo").model_dump(mode="json")
    for channel in packaged["channels"]:
        is_nuclei = channel["role"] == "nuclei"
        channel["frames"] = nuclei_frames if is_nuclei else frames
    packaged["grid"] |= {"rows": 1, "columns": 1, "centre": [0.0, 0.0]}
    asked = {"plan": packaged, "sample": "s1", "operator": "op"}
    return RunRequest.model_validate(asked)


@dataclass(frozen=True)
class Look:
    """The run at one moment."""

    at_s: float
    written: int
    """Frames of signal channels on disk."""
    localized: int

    def lag_s(self, exposure_ms: float) -> float:
        """Return how far the localizer is behind the disk, in the camera's seconds."""
        return (self.written - self.localized) * exposure_ms / 1000.0


@dataclass
class Light:
    """What one line gave, by its ledger, by the plan, and by an onlooker."""

    nm: int
    planned_s: float
    """Exposure of all frames that were asked for, in seconds of full power."""
    booked_s: float = 0.0
    """By ``dose.jsonl``, likewise."""
    on_s: float = 0.0
    """Seconds for which the onlooker saw the line switched on."""


@dataclass
class RealTime:
    """The figures of one field."""

    view: RunView
    field: FieldView
    audit: Audit
    sampler: Sampler
    looks: list[Look]
    light: dict[int, Light]
    lit_outside_s: float
    seconds: float
    """From the order to the answer."""
    bursts: list[Span]
    """By the onlooker, on the clock of the samples."""
    exposure_ms: float
    violations: list[str] = field(default_factory=list)

    @property
    def lags_s(self) -> list[float]:
        """The localizer's lag at every look within the bursts."""
        return [look.lag_s(self.exposure_ms) for look in self.looks]

    def grown_mb(self, name: str) -> float | None:
        """Return what a process goes on taking; None where bursts are too short."""
        return steady_growth_mb(self.sampler.vitals[name].samples, self.bursts)

    def burst_s(self) -> dict[str, tuple[float, float]]:
        """Return, by channel, the seconds of its unit and those of its exposures."""
        return {
            unit.channel: (
                seconds_between(unit.started_utc, unit.ended_utc),
                unit.requested * self.exposure_ms / 1000.0,
            )
            for unit in self.field.units
        }


def take(
    folder: Path,
    request: RunRequest,
    *,
    config: Path | None = None,
    growth_mb: float = GROWTH_MB,
    peak_mb: float = PEAK_MB,
) -> RealTime:
    """Take the field, then compare everything that was noted of it.

    The localizer closes a unit while the next is taken, so that its memory rises and
    falls, and its peak is judged; every other process does the same in every burst,
    and what it goes on taking is judged (`steady`).
    """
    with night(config or resolve("simulated"), folder / "data") as service:
        began = time.monotonic()
        run = service.control.submit(request)
        with Sampler(service.launcher.pids) as sampler:
            looks = _watch(service, run.id, began)
        view = _ended(service, run.id)
        seconds = time.monotonic() - began
        (tile,) = service.control.fields(run.id)
        history = service.microscope.light_history()
        found = audit(service.folder(view), view, [tile])
        light = _light(service.folder(view), request, history)
    assert request.plan is not None
    done = RealTime(
        view,
        tile,
        found,
        sampler,
        looks,
        light,
        history.lit_outside_s,
        seconds,
        _bursts(history),
        request.plan.channels[0].exposure_ms,
    )
    for name, vitals in sampler.vitals.items():
        grown_mb = done.grown_mb(name)
        if name != "localizer" and grown_mb is not None and grown_mb > growth_mb:
            done.violations.append(f"{name} grew by {grown_mb:.1f} MB")
        if vitals.is_lost or vitals.peak_mb > peak_mb:
            done.violations.append(f"{name} ended, or took {vitals.peak_mb:.0f} MB")
    done.violations += _judge(done)
    return done


def _watch(service: Night, run_id: str, began: float) -> list[Look]:
    """Look at disk and localizer until every unit has its verdict."""
    where = address(service.launcher.runtime, LOCALIZER)
    looks = []
    while True:
        service.launcher.check()
        view = service.control.run(run_id)
        answer = ask(where, "status", {}, deadline_s=5.0)
        (tile,) = service.control.fields(run_id)
        written = sum(u.written for u in tile.units if u.channel != "405")
        localized = int(str(answer.body["localized_frames"]))
        looks.append(Look(time.monotonic() - began, written, localized))
        if view.units_done == view.units_total or view.state in FINAL:
            return looks
        time.sleep(LOOK_S)


def _ended(service: Night, run_id: str) -> RunView:
    while (view := service.control.run(run_id)).state not in FINAL:
        service.launcher.check()
        time.sleep(LOOK_S / 4)
    return view


def _bursts(history: LightHistory) -> list[Span]:
    spans: list[Span] = []
    begun = 0.0
    for change in history.changes:
        if change.what == "burst" and change.on:
            begun = change.monotonic_s
        elif change.what == "burst" and begun:
            spans.append((begun, change.monotonic_s))
            begun = 0.0
    return spans


def _light(
    run: RunFolder, request: RunRequest, history: LightHistory
) -> dict[int, Light]:
    assert request.plan is not None
    light = {}
    for channel in request.plan.channels:
        exposed_s = channel.frames * channel.exposure_ms / 1000.0
        planned_s = exposed_s * channel.power_percent / 100.0
        light[channel.laser_nm] = Light(channel.laser_nm, planned_s)
    for line in run.dose.read_text().splitlines():
        said = json.loads(line)
        dose_s = said["light_s"] * said["power_percent"] / 100.0
        light[said["nm"]].booked_s += dose_s
    since: dict[int, float] = {}
    for change in history.changes:
        if change.what == "light" and change.on:
            since[change.nm] = change.monotonic_s
        elif change.what == "light" and change.nm in since:
            light[change.nm].on_s += change.monotonic_s - since.pop(change.nm)
    return light


def _judge(done: RealTime) -> list[str]:
    counts, units = done.audit.accounting, done.field.units
    frames = sum(unit.requested for unit in units)
    signal = sum(unit.requested for unit in units if unit.channel != "405")
    taps = {
        "requested": (counts.requested, frames),
        "delivered": (counts.delivered, frames),
        "written": (counts.written, frames),
        "readable": (done.audit.readable, frames),
        "localizable": (counts.localizable, signal),
        "localized": (counts.localized, signal),
    }
    wrong = [v.text for v in done.audit.violations]
    wrong += [f"{n} of {of} frames {tap}" for tap, (n, of) in taps.items() if n != of]
    if done.view.state != "completed":
        wrong.append(f"the run is {done.view.state}: {done.view.reason}")
    for line in done.light.values():
        if abs(line.booked_s - line.planned_s) > DOSE_SHARE * line.planned_s:
            wrong.append(f"{line.nm} nm: {line.booked_s:.3f} s are in the light ledger")
    if (lag_s := max(done.lags_s)) > LAG_S:
        wrong.append(f"the localizer was {lag_s:.1f} s behind the disk")
    for channel, (took_s, exposed_s) in done.burst_s().items():
        if took_s > exposed_s * (1 + LATE_SHARE) + START_S:
            wrong.append(
                f"{channel} took {took_s:.1f} s for {exposed_s:.1f} s of light"
            )
    return wrong
