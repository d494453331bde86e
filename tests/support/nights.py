"""Whole services that run by themselves for a while: started, asked, waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from microscopes import write_config

from her2sr_acq.control import ControlClient
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.errors import GuardError, ServiceUnavailableError
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.launcher import NAMES, Launcher
from her2sr_acq.verbs.watch import RESTART_S
from her2sr_proc.store.layout import DataFolder, RunFolder
from simulators.client import MicroscopeClient

EXPOSURE_MS = 30.0
AT_REST = FINAL | {RunState.PAUSED}
"""States that a run does not leave by itself; from an interruption it does at once."""
LOOK_S = 0.02
CHANNELS = (("561", "HER2", 561), ("488", "CEP17", 488))


def night_config(
    folder: Path,
    *,
    time_scale: float,
    dark_silence_s: float = 15.0,
    low_water_mb: int = 64,
    **options: object,
) -> Path:
    """Write a configuration of small frames whose simulated time runs fast.

    The simulated camera waits for the reader, as no real one does: how fast frames
    come is then what the service can take, and not what it loses.
    """
    path = write_config(
        "simulated",
        folder,
        noise="fast",
        time_scale=time_scale,
        record_intervals=False,
        camera={"max_waiting": 200},
        **options,
    )
    data = yaml.safe_load(path.read_text())
    data["guard"]["dark_silence_s"] = dark_silence_s
    data["storage"] = {"low_water_mb": low_water_mb, "reserve_mb": 1}
    path.write_text(yaml.safe_dump(data))
    return path


def night_request(*, rows: int, columns: int, frames: int) -> RunRequest:
    """Return a run of two signal channels."""
    channels = [
        {
            "name": name,
            "probe": probe,
            "laser_nm": nm,
            "power_percent": 40,
            "exposure_ms": EXPOSURE_MS,
            "frames": frames,
            "role": "signal",
        }
        for name, probe, nm in CHANNELS
    ]
    plan = {
        "name": "night",
        "grid": {"rows": rows, "columns": columns, "centre": [0.0, 0.0]},
        "channels": channels,
    }
    return RunRequest.model_validate({"plan": plan, "sample": "s1", "operator": "op"})


@dataclass(frozen=True)
class Night:
    """A service that is up, and every way to ask it."""

    launcher: Launcher
    data: DataFolder

    @property
    def control(self) -> ControlClient:
        return ControlClient(self.launcher.runtime)

    @property
    def guard(self) -> GuardClient:
        return GuardClient(self.launcher.runtime)

    @property
    def microscope(self) -> MicroscopeClient:
        return MicroscopeClient(self.launcher.runtime)

    def folder(self, run: RunView) -> RunFolder:
        return self.data.run(run.id)

    def acq_pid(self) -> int | None:
        """Return the id of acq while it lives, as the guard has it."""
        try:
            return self.guard.status().acq_pid
        except GuardError:
            return None

    def look(self, run_id: str) -> RunView | None:
        """Return a run, or None while acq does not answer."""
        try:
            return ControlClient(self.launcher.runtime, deadline_s=2.0).run(run_id)
        except ServiceUnavailableError:
            return None

    def rest(self, run_id: str, *, within_s: float) -> RunView:
        """Return a run once it does not go on by itself."""
        while True:
            view = until(lambda: self._at_rest(run_id), within_s=within_s)
            if view.state is not RunState.INTERRUPTED:
                return view
            time.sleep(RESTART_S)
            if self._at_rest(run_id) == view:
                return view

    def idle(self, *, within_s: float) -> None:
        """Return once acq answers and could take a run."""
        until(self._is_idle, within_s=within_s)

    def _at_rest(self, run_id: str) -> RunView | None:
        self.launcher.check()
        view = self.look(run_id)
        return view if view is not None and view.state in AT_REST else None

    def _is_idle(self) -> bool:
        self.launcher.check()
        try:
            health = ControlClient(self.launcher.runtime, deadline_s=2.0).health()
        except ServiceUnavailableError:
            return False
        return health.active_run is None and not health.latched


def until(look: Callable[[], object], *, within_s: float, every_s: float = LOOK_S):
    """Return what ``look`` returns once that is true; fail after ``within_s``."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"it did not come to be in {within_s:g} s"
        time.sleep(every_s)
    return found


@contextmanager
def night(
    config: Path, data: Path, *, only: tuple[str, ...] = NAMES
) -> Iterator[Night]:
    """Run a service from start to end."""
    with Launcher(config, data, port=0, only=only) as launcher:
        yield Night(launcher, DataFolder(data.resolve()))


def seconds_between(begun: str | None, ended: str | None) -> float:
    """Return the seconds between two stamps of a run that both stand."""
    assert begun is not None
    assert ended is not None
    return (
        datetime.fromisoformat(ended) - datetime.fromisoformat(begun)
    ).total_seconds()
