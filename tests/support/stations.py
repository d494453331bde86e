"""Engines on a fake microscope, with everything else real."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fake_localizer import FakeLocalizer
from fake_microscope import FakeMicroscope, make_config

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.desk import Desk
from her2sr_acq.engine.processing import Patience, Processing
from her2sr_acq.engine.safety import Safety
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.truth import TruthSource
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.engine.worker import Worker
from her2sr_acq.guard.ports import Unguarded
from her2sr_acq.plan.models import Protocol
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder

HURRIED = Patience(answer_s=0.1, retry_s=0.0, silent_s=0.2, forgotten_s=0.0, idle_s=0.3)


def protocol(*, rows: int = 1, columns: int = 2, frames: int = 40) -> Protocol:
    """Two channels; a burst of 40 frames of 30 ms is four blocks of ten."""
    channels = [
        {"name": "561", "probe": "HER2", "laser_nm": 561, "role": "signal"},
        {"name": "405", "probe": "DAPI", "laser_nm": 405, "role": "nuclei"},
    ]
    for channel in channels:
        channel |= {"power_percent": 40, "exposure_ms": 90, "frames": frames}
    return Protocol.model_validate(
        {
            "name": "test",
            "grid": {"rows": rows, "columns": columns, "centre": [10.0, 20.0]},
            "channels": channels,
        }
    )


def request(**changes: object) -> RunRequest:
    plan = changes.pop("plan", None) or protocol()
    return RunRequest(plan=plan, sample="S1", operator="op", **changes)


@dataclass
class FakeRoom:
    """A disk that has room, or says why not."""

    said: str = ""
    has_reserve: bool = True

    def trouble(self, needed_bytes: int) -> str:
        return self.said

    def give_up_reserve(self) -> None:
        self.has_reserve = False

    def restore_reserve(self) -> None:
        self.has_reserve = True


FINISH_S = 60.0
"""For a run of a few frames, on a machine that has much else to do."""


@dataclass
class Rig:
    """A desk and what stands behind it."""

    desk: Desk
    station: Station
    microscope: FakeMicroscope
    localizer: FakeLocalizer
    worker: Worker
    published: list = field(default_factory=list)

    def finish(self) -> RunView:
        """Return the run that was submitted last, once the engine is done with it."""
        self.worker.ask(lambda: None, timeout_s=FINISH_S)
        view = self.desk.runs()[0]
        assert view.state in FINAL, view
        return view

    def until(self, state: str, within_s: float = 10.0) -> RunView:
        """Return the last run once it is in a state that lasts."""
        deadline = time.monotonic() + within_s
        while (view := self.desk.runs()[0]).state != state:
            assert time.monotonic() < deadline, view
            time.sleep(0.005)
        return view

    def take(self, asked: RunRequest | None = None) -> RunView:
        self.desk.submit(asked or request())
        return self.finish()

    def units(self, run_id: str) -> dict[str, object]:
        fields = self.desk.fields(run_id)
        return {f"{u.field}/{u.channel}": u for f in fields for u in f.units}


@contextmanager
def rig(
    data: Path,
    *,
    microscope: FakeMicroscope | None = None,
    localizer: FakeLocalizer | None = None,
    config: DeviceConfig | None = None,
    write_block=raw.write_block,
    takes_blocks: bool = True,
    clock: Clock | None = None,
    guard: Unguarded | None = None,
    room=None,
    boot: str = "boot-1",
    token=lambda n: "ab12",
    truth: TruthSource | None = None,
) -> Iterator[Rig]:
    microscope = microscope or FakeMicroscope()
    localizer = localizer or FakeLocalizer()
    clock = clock or Clock()
    published = []

    def publish(header, adu):
        if takes_blocks:
            published.append(header)
        return takes_blocks

    DataFolder(data).runs.mkdir(parents=True, exist_ok=True)
    guard = guard or Unguarded()
    with (
        Database(data / "her2sr.db") as database,
        Safety(microscope, guard, clock=clock.monotonic, period_s=0.01) as safety,
        Worker(join_s=5.0) as worker,
    ):
        station = Station(
            hardware=microscope,
            config=config or make_config(),
            config_sha256="0" * 64,
            data=DataFolder(data),
            database=database,
            publish=publish,
            processing=lambda: Processing(
                "ipc://nowhere", clock, ask=localizer, patience=HURRIED
            ),
            clock=clock,
            guard=guard,
            safety=safety,
            room=room or FakeRoom(),
            boot=boot,
            write_block=write_block,
            truth=truth,
        )
        desk = Desk(station, worker, token=token)
        yield Rig(desk, station, microscope, localizer, worker, published)
