"""A service over a fake hardware process and a small data folder on disk."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.passwords import Passwords
from her2sr_acq.accounts.roles import Role
from her2sr_acq.engine import choice_views, device_views, hand_views, views
from her2sr_acq.engine.states import RunEvent, RunState, advance
from her2sr_acq.errors import (
    LatchedError,
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
    ServiceUnavailableError,
)
from her2sr_acq.guard.messages import Status, Stopped
from her2sr_acq.plan.estimate import Estimate
from her2sr_acq.plan.models import Protocol
from her2sr_acq.plan.select import SelectPlan
from her2sr_acq.service.app import create_app
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.context import Context
from her2sr_acq.service.gate import Gate, Rates
from her2sr_acq.service.limiter import Rate
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.results import Accounting, Arm, RunResult, Truth
from her2sr_proc.store.atomic import write_bytes, write_text
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.results import write_result

NOW = datetime(2026, 1, 2, 3, 4, 20, tzinfo=UTC)
URL = "http://127.0.0.1:8000"
DONE = "20260101-finished"
PROTOCOL = Protocol.model_validate(
    {
        "name": "small",
        "grid": {"rows": 1, "columns": 2},
        "channels": [
            {
                "name": "561",
                "probe": "HER2",
                "laser_nm": 561,
                "power_percent": 40,
                "exposure_ms": 30,
                "frames": 100,
                "role": "signal",
            }
        ],
    }
)
REQUEST = {"protocol": "small", "sample": "s1", "operator": "op"}
ESTIMATE = Estimate(fields=2, units=2, frames=200, duration_s=75.0, bytes=26_000_000)


def arm(**values: object) -> Arm:
    """Return an arm with plausible values where none are given."""
    plain: dict[str, object] = {
        "her2_signals": 90,
        "cep17_signals": 30,
        "nuclei": 20,
        "her2_per_nucleus": 4.5,
        "cep17_per_nucleus": 1.5,
        "ratio": 3.0,
        "ratio_interval_95": (2.5, 3.6),
        "group": 1,
        "status": "definite",
    }
    return Arm.model_validate(plain | values)


RESULT = RunResult(
    run=DONE,
    arms={"sr_merged": arm(), "sr": arm(ratio=3.3), "conventional": arm(group=None)},
    headline="sr_merged",
    channel_map={"561": "HER2"},
    profile="recommended",
    profile_digest="0" * 16,
    accounting=Accounting(
        requested=200,
        delivered=200,
        written=200,
        published=100,
        replayed=100,
        localizable=200,
        localized=200,
    ),
    truth=Truth(
        copies=arm(ratio=3.14),
        signals=arm(),
        whole_tumour_nuclei=25,
        whole_tumour_nuclei_scored=20,
    ),
)


def run_view(run_id: str, state: RunState = RunState.RUNNING) -> views.RunView:
    """Return a run a quarter of the way, ten seconds after its start."""
    return views.RunView(
        id=run_id,
        state=state,
        phase="exposing",
        protocol="small",
        sample="s1",
        operator="op",
        created_utc="2026-01-02T03:04:05+00:00",
        started_utc="2026-01-02T03:04:10+00:00",
        frames_done=50,
        frames_requested=200,
        units_total=2,
        current="r00_c00/561",
        folder=run_id,
    )


@dataclass
class FakeControl:
    """Holds runs in memory, one at a time; may be told to be dead."""

    held: dict[str, views.RunView] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    is_dead: bool = False
    latched: str = ""
    stops: list[str] = field(default_factory=list)
    retaken: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    orders: list[tuple[int | None, str]] = field(default_factory=list)
    """Fence and name of everyone who ordered."""
    places: list[hand_views.Mark] = field(default_factory=list)
    chosen: choice_views.SelectionRequest | None = None
    select: SelectPlan | None = None
    """Of the protocol."""

    def under(self, fence, *, by):
        self.orders.append((fence, by))
        return self

    def _alive(self) -> None:
        if self.is_dead:
            raise ServiceUnavailableError("the hardware process does not answer")

    def submit(self, request, *, idempotency_key=None):
        self._alive()
        if idempotency_key in self.keys:
            return self.held[self.keys[idempotency_key]]
        if request.protocol not in (None, "small"):
            raise PlanRejectedError("no protocol of that name", protocol="?")
        if any(view.state is RunState.RUNNING for view in self.held.values()):
            raise RunConflictError("another run holds the microscope")
        view = run_view(f"run-{len(self.held)}")
        self.held[view.id] = view
        if idempotency_key is not None:
            self.keys[idempotency_key] = view.id
        return view

    def runs(self, *, limit=500, before=""):
        self._alive()
        newest = sorted(self.held.values(), key=lambda view: view.id, reverse=True)
        return [view for view in newest if not before or view.id < before][:limit]

    def move(self, position):
        self._alive()
        return position

    def where(self):
        self._alive()
        return hand_views.StageView(x_um=1.0, y_um=2.0, z_um=3.0)

    def jog(self, jog):
        here = self.where()
        return hand_views.StageView(
            x_um=here.x_um + jog.dx_um,
            y_um=here.y_um + jog.dy_um,
            z_um=here.z_um + jog.dz_um,
        )

    def mark(self, name):
        here = self.where()
        place = {n: getattr(here, n) for n in ("x_um", "y_um", "z_um")}
        self.places = [*self.places, hand_views.Mark(name=name, **place)]
        return self.marks()

    def marks(self):
        self._alive()
        return hand_views.Marks.of(tuple(self.places))

    def clear_marks(self):
        self.places = []
        return self.marks()

    def snap(self, asked):
        return hand_views.Picture(
            height=1,
            width=1,
            adu_base64="AAA=",
            dose_s=asked.power_percent * asked.exposure_ms / 1e5,
            ceiling_s=2.0,
            stage=self.where(),
        )

    def examine(self):
        self._alive()
        found = [
            device_views.Found(
                subject="light", state="good", detail="every line reports off"
            ),
            device_views.Found(
                subject="disk", state="bad", detail="full; offload runs"
            ),
        ]
        return device_views.CheckupView(taken_utc=NOW.isoformat(), found=tuple(found))

    def run(self, run_id):
        self._alive()
        if run_id not in self.held:
            raise RunNotFoundError(f"no run {run_id}")
        return self.held[run_id]

    def fields(self, run_id):
        self.run(run_id)
        unit = views.UnitView(
            field="r00_c00",
            channel="561",
            attempt=1,
            state=UnitState.PARTIAL,
            requested=100,
            written=50,
            reason="camera stalled",
        )
        place = {"row": 0, "column": 0, "x_um": 0.0, "y_um": 0.0}
        return [views.FieldView(name="r00_c00", units=(unit,), **place)]

    def stop(self, run_id, stop=None):
        self.stops.append(stop.burst)
        return self._move(run_id, RunEvent.STOP)

    def pause(self, run_id):
        return self._move(run_id, RunEvent.PAUSE)

    def resume(self, run_id):
        return self._move(run_id, RunEvent.RESUME)

    def retake(self, run_id, field, retake):
        if field != "r00_c00":
            raise RunNotFoundError(f"the run has no field '{field}'")
        self.retaken.append((field, retake.channels))
        return self.run(run_id)

    def selection(self, run_id):
        self.run(run_id)
        place = {"row": 0, "column": 0, "x_um": 0.0, "y_um": 0.0, "chosen": None}
        address = f"/api/v1/runs/{run_id}/overview/r00_c00.png"
        tile = choice_views.OverviewTile(
            field="r00_c00", seen=True, holds_tissue=True, picture=address, **place
        )
        return choice_views.SelectionView(
            run=run_id,
            state="made" if self.chosen else "open",
            choose="person",
            tile_height_um=66.56,
            tile_width_um=66.56,
            tiles=(tile,),
            most=1,
            picture=f"/api/v1/runs/{run_id}/overview/grid.png",
            by=self.chosen.by if self.chosen else "",
        )

    def choose(self, run_id, choice):
        if self.chosen is not None:
            raise RunConflictError("the fields of this run were chosen already")
        self.chosen = choice
        return self.run(run_id)

    def preflight(self, request):
        check = views.Check(subject="plan", ok=True, detail="within limits")
        return views.Preflight(
            ok=True, checks=(check,), estimate=ESTIMATE, finish_utc=NOW.isoformat()
        )

    def _move(self, run_id, event):
        view = self.run(run_id)
        state = advance(view.state, event)
        self.held[run_id] = view.model_copy(update={"state": state})
        return self.held[run_id]

    def devices(self):
        self._alive()
        camera = device_views.DeviceView(
            label="Camera", role="camera", adapter="Demo", values={"Exposure": "30"}
        )
        return device_views.DevicesView(taken_utc=NOW.isoformat(), devices=(camera,))

    def health(self):
        self._alive()
        return views.Health(
            version="1",
            pid=1,
            configuration="simulated",
            simulated=True,
            started_utc=NOW.isoformat(),
            active_run=None,
            latched=self.latched,
            free_bytes=10**9,
        )

    def protocols(self):
        self._alive()
        protocol = PROTOCOL.model_copy(update={"select": self.select})
        return [views.ProtocolView(name="small", protocol=protocol, estimate=ESTIMATE)]


@dataclass
class FakeGuard:
    """Puts out what it never lit, and remembers who asked."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    refuses: str = ""

    def status(self):
        return Status(acq_pid=1, is_connected=True, lit_nm=(561,), deaths=0)

    def estop(self, *, by, reason):
        self.asked.append(("estop", by, reason))
        return Stopped(dark=True, seconds=0.05)

    def rearm(self, *, by, reason):
        if self.refuses:
            raise LatchedError(f"the light stays latched: {self.refuses}")
        self.asked.append(("rearm", by, reason))


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def guard() -> FakeGuard:
    return FakeGuard()


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    """A data folder with one finished run."""
    folder = DataFolder(tmp_path / "data")
    run = folder.run(DONE)
    write_result(run, RESULT)
    write_text(run.counts, "run,field\n")
    write_text(run.report, "<!doctype html><title>report</title>")
    write_bytes(run.preview("r00_c00", "561", "conventional"), b"\x89PNG")
    return folder


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The application, made once; every test gives it a context of its own."""
    nowhere = Archive(DataFolder(tmp_path_factory.mktemp("nowhere")))
    with ServiceDatabase(None) as database:
        gate = Gate(database, now=lambda: datetime.now(UTC))
        yield create_app(
            Context(FakeControl(), FakeGuard(), nowhere, now=lambda: NOW, gate=gate)
        )


PASSWORD = "three plain words"
ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.ADMIN}


PLENTY = Rate(per_s=1e6, burst=1e6)
WIDE = Rates(PLENTY, PLENTY, PLENTY, free_failures=10**6)
"""Limits have tests of their own."""


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate with a user of each role, and passwords that cost nothing to check."""
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    with ServiceDatabase(None) as database:
        gate = Gate(
            database, now=lambda: datetime.now(UTC), passwords=cheap, rates=WIDE
        )
        for name, role in ROLES.items():
            gate.people.add(name, role, PASSWORD, by="test")
        yield gate


@pytest.fixture
def token(gate: Gate):
    """Returns the header of a token of the user with a role."""

    def header(role: str) -> dict[str, str]:
        name = next(name for name, own in ROLES.items() if own == role)
        _, text = gate.people.issue(name, label="", role=None, days=1, by="test")
        return {"authorization": f"Bearer {text}"}

    return header


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def guarded(app, control: FakeControl, guard: FakeGuard, data: DataFolder, gate: Gate):
    """A client of a service with users, not logged in."""
    app.state.context = Context(
        control, guard, Archive(data), now=lambda: NOW, gate=gate
    )
    return TestClient(app, base_url=URL, raise_server_exceptions=False)


@pytest.fixture
def client(
    app, control: FakeControl, guard: FakeGuard, data: DataFolder
) -> Iterator[TestClient]:
    with ServiceDatabase(None) as database:
        gate = Gate(database, now=lambda: datetime.now(UTC), rates=WIDE)
        app.state.context = Context(
            control, guard, Archive(data), now=lambda: NOW, gate=gate
        )
        yield TestClient(app, base_url=URL, raise_server_exceptions=False)


@pytest.fixture
def request_body() -> dict[str, object]:
    return dict(REQUEST)


@pytest.fixture
def done() -> str:
    """The id of the run that is finished and on disk."""
    return DONE
