"""Orders through the control socket: under a lease, in a name, and by hand."""

import threading
from collections.abc import Iterator

import pytest
from fake_microscope import FakeMicroscope
from short import short_folder
from stations import Rig, protocol, request, rig

from her2sr_acq.control import ControlClient
from her2sr_acq.control_server import ControlServer
from her2sr_acq.engine.hand_views import StagePosition
from her2sr_acq.errors import LeaseError, PlanRejectedError, RunConflictError
from her2sr_acq.runtime import CONTROL, address
from her2sr_proc.store.chain import read_events

SMALL = request(plan=protocol(columns=1, frames=10))
PLACE = StagePosition(x_um=12.0, y_um=-3.0)


class Held(FakeMicroscope):
    """Stops before its fifth frame until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.open = threading.Event(), threading.Event()
        self.camera.on_frame = self._pass

    def _pass(self, index: int) -> None:
        if index == 4:
            self.reached.set()
            self.open.wait(10.0)


@pytest.fixture
def microscope() -> Held:
    return Held()


@pytest.fixture
def bench(tmp_path, microscope) -> Iterator[tuple[Rig, ControlClient]]:
    with (
        short_folder() as runtime,
        rig(tmp_path, microscope=microscope) as bench,
        ControlServer(bench.desk, address(runtime, CONTROL)),
    ):
        yield bench, ControlClient(runtime, deadline_s=5.0)
        microscope.open.set()


def test_orders_of_a_former_holder_of_the_lease_are_refused(bench, microscope):
    held, client = bench
    microscope.open.set()
    client.under(8, by="op-2").submit(SMALL)
    with pytest.raises(LeaseError, match="lease 8 has followed"):
        client.under(7, by="op-1").submit(SMALL)
    held.finish()
    assert len(client.runs()) == 1


def test_a_run_remembers_who_gave_it_orders(bench, microscope):
    held, client = bench
    run = client.under(1, by="op-2").submit(SMALL)
    assert microscope.reached.wait(5.0)
    client.under(2, by="op-3").pause(run.id)
    client.under(2, by="op-3").stop(run.id)
    microscope.open.set()
    held.finish()
    events = read_events(held.station.data.run(run.folder))
    said = [(e.data["verb"], e.data["by"]) for e in events if e.kind == "order"]
    assert said == [("pause", "op-3"), ("stop", "op-3")]


def test_the_stage_moves_by_hand_within_its_limits_and_not_in_a_run(bench, microscope):
    held, client = bench
    assert client.move(PLACE) == PLACE
    with pytest.raises(PlanRejectedError, match="the stage goes from"):
        client.move(StagePosition(x_um=1e6, y_um=0.0))
    run = client.submit(SMALL)
    assert microscope.reached.wait(5.0)
    with pytest.raises(RunConflictError, match="by hand after it"):
        client.move(PLACE)
    client.stop(run.id)
    microscope.open.set()
    held.finish()


def test_runs_are_paged_through_the_socket(bench, microscope):
    held, client = bench
    microscope.open.set()
    for _ in range(3):
        client.submit(SMALL)
        held.finish()
    newest, older, oldest = client.runs()
    assert client.runs(limit=1, before=newest.id) == [older]
    assert client.runs(before=older.id) == [oldest]
