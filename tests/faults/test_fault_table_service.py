"""Rows 13 to 17 and 20 of the fault table: who listens or asks is late, gone, too many.

What is exposed goes to the disk whatever becomes of web service, localizer and bus.
Row 20's second process stands in `test_daemon_process`.
"""

import os
import signal
import socket
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import zmq
from nights import Night, night, night_config, until
from service_faults import (
    BURST_FRAMES,
    PATIENCE_S,
    STARTS,
    TIME_SCALE,
    in_a_burst,
    page_of,
    replayed,
    require_whole,
    same_tables,
    starts,
    stopped,
    web_service_back_s,
)
from short import short_folder
from stations import protocol, request, rig
from strangers import OVERSIZED, bothered, tcp, unix

from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.order import run_id
from her2sr_acq.guard.messages import SOCKET as GUARD
from her2sr_acq.runtime import FRAMES, address
from her2sr_proc.store.chain import read_events
from simulators.lightport import PORT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def service():
    """A whole service, used by several tests one after another."""
    with short_folder() as folder:
        config = night_config(folder, time_scale=TIME_SCALE)
        with night(config, folder / "data") as running:
            yield running


@pytest.fixture
def burst(service):
    """A run of one field, in the middle of its first burst."""
    return in_a_burst(service)


def test_row_13_a_killed_web_service_costs_no_frame_and_is_whole_again(service, burst):
    # how soon, on a quiet machine, is for `bench_service_faults.py`
    assert web_service_back_s(service, burst) < PATIENCE_S
    require_whole(service, burst)


def test_row_14_a_localizer_that_stands_still_drops_no_frame_and_its_lag_is_told(
    service, burst
):
    pid = service.launcher.pids["localizer"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(
            lambda: service.control.run(burst.id).units_done == 2, within_s=PATIENCE_S
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    view = require_whole(service, burst)
    units = [u for f in service.control.fields(view.id) for u in f.units]
    assert [unit.written for unit in units] == [BURST_FRAMES] * 2
    refused = sum(unit.written - unit.published for unit in units)
    assert 0 < refused <= replayed(service.folder(view))


def test_row_15_tables_of_a_killed_localizer_are_bit_for_bit_those_from_disk(
    service, burst, tmp_path
):
    killed = service.launcher.pids["localizer"]
    os.kill(killed, signal.SIGKILL)
    view = require_whole(service, burst)
    assert service.launcher.pids["localizer"] != killed
    assert same_tables(service.folder(view), tmp_path / view.id) == 2


def sockets_of(service: Night) -> list[Path]:
    """Return every unix socket of the service but the light's own port.

    That one stands for a serial line: whoever holds it shuts all others out.
    """
    found = [p for p in service.launcher.runtime.iterdir() if p.is_socket()]
    return [path for path in found if path.name != PORT]


def connectors(service: Night) -> list:
    port = httpx.URL(service.launcher.url).port
    unixes = [
        partial(
            unix, p, socket.SOCK_SEQPACKET if p.name == GUARD else socket.SOCK_STREAM
        )
        for p in sockets_of(service)
    ]
    return [*unixes, partial(tcp, port)]


def test_row_16_garbage_too_much_and_too_little_on_every_socket_disturb_no_burst(
    service, burst
):
    assert len(sockets_of(service)) >= 5
    deaths = service.guard.status().deaths
    with bothered(connectors(service), times=4) as callers:
        assert callers >= 60
        assert page_of(service, burst)
        assert service.control.health().active_run == burst.id
        require_whole(service, burst)
    assert service.guard.status().deaths == deaths


def test_row_16_blocks_that_a_stranger_takes_from_the_bus_are_read_from_disk(
    service, burst
):
    with zmq.Context() as context, context.socket(zmq.PULL) as stranger:
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(address(service.launcher.runtime, FRAMES))
        assert stranger.poll(5000)
        stranger.recv_multipart()
        view = require_whole(service, burst)
    assert replayed(service.folder(view)) > 0


def test_row_16_a_broken_off_question_leaves_the_next_one_its_answer(service):
    path = service.launcher.runtime / "control.ipc"
    for _ in range(3):
        with unix(path) as end:
            end.send(OVERSIZED[:1000])
    assert service.control.health().active_run is None


JUMPS = [
    pytest.param(timedelta(days=400), id="far ahead"),
    pytest.param(timedelta(hours=-2), id="back"),
]


@pytest.mark.parametrize("jump", JUMPS)
def test_row_17_a_clock_that_jumps_changes_neither_order_nor_durations(tmp_path, jump):
    began = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
    asked = []

    def utc() -> datetime:
        asked.append(None)
        return began + (jump if len(asked) > 8 else timedelta())

    with rig(tmp_path, clock=Clock(utc=utc)) as engine:
        view = engine.take(request(plan=protocol(columns=3)))
        events = list(read_events(engine.station.data.run(view.id)))
    assert view.state == "completed"
    assert len(asked) > 20
    stamps = [datetime.fromisoformat(event.utc) for event in events]
    assert max(stamps) - min(stamps) >= abs(jump)
    assert [event.sequence for event in events] == list(range(len(events)))
    steps = [b.monotonic_s - a.monotonic_s for a, b in pairwise(events)]
    assert all(0.0 <= step < 5.0 for step in steps)


@pytest.mark.parametrize("hours", [-2, 2])
def test_row_17_runs_and_queue_keep_their_order_over_a_clock_that_is_set(
    tmp_path, hours
):
    now = [datetime(2026, 3, 29, 12, 0, tzinfo=UTC)]
    with rig(tmp_path, clock=Clock(utc=lambda: now[0])) as engine:
        names = [engine.take().id]
        now[0] += timedelta(hours=hours)
        names += [engine.take().id for _ in range(2)]
        assert [view.id for view in engine.desk.runs()] == names[::-1]
    assert names == sorted(set(names))


def test_row_17_a_run_of_a_clock_that_was_wrong_by_years_is_not_followed():
    now = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
    name = run_id(now, lambda _: "ab12", newest="20990101T000000-0000")
    assert name == "20260329T120000-ab12"


# --- row 20: fifty start at once


def test_row_20_of_fifty_starts_one_is_taken_and_the_others_are_a_conflict(service):
    service.idle(within_s=PATIENCE_S)
    before = len(service.control.runs())
    codes = Counter(answer.status_code for answer in starts(service, None))
    (run, *_) = service.control.runs()
    assert len(service.control.runs()) == before + 1
    assert codes == {202: 1, 409: STARTS - 1}
    assert stopped(service, run.id).state == "aborted"


def test_row_20_fifty_starts_under_one_key_are_one_run(service):
    service.idle(within_s=PATIENCE_S)
    before = len(service.control.runs())
    answers = starts(service, f"k-{before}")
    assert {answer.status_code for answer in answers} <= {200, 202}
    (run_id,) = {answer.json()["id"] for answer in answers}
    assert len(service.control.runs()) == before + 1
    assert stopped(service, run_id).state == "aborted"
