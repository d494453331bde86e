"""The measures that Prometheus is told. Names end in their unit.

What cannot be asked now is left out, and ``hm_up`` says which process does not answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from her2sr_acq.engine.views import Health, RunView
from her2sr_acq.errors import AcqError
from her2sr_acq.notifying.post import Tally
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.ports import Control, Guard
from her2sr_proc.schema.ledger import UnitState

TAPS = ("requested", "delivered", "written", "published")


class Measures(Collector):
    """Asks hardware process, guard and disk; made for one answer."""

    def __init__(
        self,
        control: Control,
        guard: Guard,
        archive: Archive,
        tallies: Sequence[Tally] = (),
    ) -> None:
        self._control = control
        self._guard = guard
        self._archive = archive
        self._tallies = tallies

    def collect(self) -> Iterator[Metric]:
        """Yield every measure that can be had."""
        up = GaugeMetricFamily("hm_up", "1: the process answers", labels=["process"])
        up.add_metric(["api"], 1)
        found: list[Metric] = [self._disk(), *_notices(self._tallies)]
        for name, ask in (("acq", self._microscope), ("guard", self._light)):
            try:
                found += ask()
            except AcqError:
                up.add_metric([name], 0)
            else:
                up.add_metric([name], 1)
        yield up
        yield from found

    def _disk(self) -> Metric:
        space = self._archive.space()
        return _gauge("hm_disk_free_bytes", "room for frames", space.free_bytes)

    def _microscope(self) -> list[Metric]:
        health = self._control.health()
        build = GaugeMetricFamily(
            "hm_build_info", "always 1", labels=["version", "configuration"]
        )
        build.add_metric([health.version, health.configuration], 1)
        return [
            build,
            _gauge("hm_runs_queued", "runs that wait", health.queued),
            _gauge("hm_latched", "1: no light until rearmed", bool(health.latched)),
            _gauge(
                "hm_troubles", "open interlocks, bad conditions", len(health.troubles)
            ),
            *self._run(health),
        ]

    def _run(self, health: Health) -> list[Metric]:
        """Return how the run in progress stands; 0 and nothing else without one."""
        active = _gauge(
            "hm_run_active", "1: a run is going on", bool(health.active_run)
        )
        if not health.active_run:
            return [active]
        run = self._control.run(health.active_run)
        return [active, *_progress(run), *self._units(run)]

    def _units(self, run: RunView) -> list[Metric]:
        units = [u for field in self._control.fields(run.id) for u in field.units]
        states = Counter(unit.state for unit in units)
        by_state = GaugeMetricFamily(
            "hm_run_units", "bursts of the run in progress", labels=["status"]
        )
        for state in UnitState:
            by_state.add_metric([state.value], states[state])
        taps = GaugeMetricFamily(
            "hm_run_frames", "frames of the run in progress", labels=["tap"]
        )
        for tap in TAPS:
            taps.add_metric([tap], sum(getattr(unit, tap) for unit in units))
        missing = sum(gap.missing for unit in units for gap in unit.gaps)
        lost = _gauge("hm_run_frames_dropped", "exposed, received by nobody", missing)
        return [by_state, taps, lost]

    def _light(self) -> list[Metric]:
        status = self._guard.status()
        emission = GaugeMetricFamily(
            "hm_laser_emission", "1: this line has a permit", labels=["line_nm"]
        )
        for nm in status.lit_nm:
            emission.add_metric([str(nm)], 1)
        return [
            emission,
            _gauge(
                "hm_light_in_doubt", "1: not proven off", bool(status.light_in_doubt)
            ),
            _gauge("hm_acq_deaths", "since the guard started", status.deaths),
        ]


def _progress(run: RunView) -> list[Metric]:
    share = run.frames_done / run.frames_requested if run.frames_requested else 0.0
    found: list[Metric] = [
        _gauge("hm_run_progress_ratio", "frames on disk of those asked for", share)
    ]
    if run.started_utc is not None:
        with suppress(ValueError):
            began = datetime.fromisoformat(run.started_utc).timestamp()
            found.append(_gauge("hm_run_started_timestamp_seconds", "Unix time", began))
    return found


def _notices(tallies: Sequence[Tally]) -> list[Metric]:
    told = CounterMetricFamily(
        "hm_notifications", "notices to a target", labels=["target", "outcome"]
    )
    waiting = GaugeMetricFamily(
        "hm_notifications_waiting", "notices not sent yet", labels=["target"]
    )
    for tally in tallies:
        for outcome in ("sent", "failed", "dropped"):
            told.add_metric([tally.target, outcome], getattr(tally, outcome))
        waiting.add_metric([tally.target], tally.waiting)
    return [told, waiting] if tallies else []


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
