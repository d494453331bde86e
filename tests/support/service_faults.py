"""What befalls web service, localizer and starts: what tests and a bench both do."""

from __future__ import annotations

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
from night_audit import audit
from nights import Night, night_request, until

from her2sr_acq.engine.views import RunView
from her2sr_proc.cli_runs import run_progress
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.tables import read_parquet

BURST_FRAMES = 240
"""Twelve blocks; at twice real time a burst lasts 3.6 s."""
TIME_SCALE = 2.0
BACK_S = 3.0
"""Until page and REST are whole again after the web service died."""
PATIENCE_S = 60.0
STARTS = 50


def in_a_burst(service: Night) -> RunView:
    """Start a run of one field; return it in the middle of its first burst."""
    service.idle(within_s=PATIENCE_S)
    plan = night_request(rows=1, columns=1, frames=BURST_FRAMES)
    run = service.control.submit(plan)
    until(partial(_is_exposing, service), within_s=PATIENCE_S)
    return run


def _is_exposing(service: Night) -> bool:
    state = service.microscope.state()
    return state.is_exposing and state.frames >= 40


def require_whole(service: Night, run: RunView) -> RunView:
    """Return the run at its end; every frame of it is on disk and in a table."""
    view = service.rest(run.id, within_s=PATIENCE_S)
    found = audit(service.folder(view), view, service.control.fields(run.id))
    counts = found.accounting
    assert view.state == "completed", view.reason
    assert not found.violations
    assert counts.written == found.readable == view.frames_requested
    assert counts.localized == view.frames_requested
    return view


def page_of(service: Night, run: RunView) -> str:
    """Return the page of a run, once REST tells the same run; else nothing."""
    url = service.launcher.url  # `verify`: loading certificates would take a core
    try:
        with httpx.Client(
            base_url=url, trust_env=False, timeout=1.0, verify=False
        ) as client:
            told = client.get(f"/api/v1/runs/{run.id}")
            page = client.get(f"/runs/{run.id}")
    except httpx.TransportError:
        return ""
    if not (told.is_success and page.is_success):
        return ""
    assert RunView.model_validate(told.json()).frames_requested == run.frames_requested
    return page.text


def web_service_back_s(service: Night, run: RunView) -> float:
    """Kill the web service; return the seconds until page and REST are whole."""
    assert run.id in page_of(service, run)
    os.kill(service.launcher.pids["api"], signal.SIGKILL)
    killed_s = time.monotonic()
    page = until(partial(page_of, service, run), within_s=PATIENCE_S, every_s=0.1)
    assert run.id in page
    return time.monotonic() - killed_s


def replayed(run: RunFolder) -> int:
    """Return how many frames the tables say to have from disk and not from the bus."""
    return sum(
        int(read_parquet(run.table(unit))[1]["replayed_frames"])
        for unit in units_of(run)
    )


def units_of(run: RunFolder) -> list[UnitKey]:
    channels = ("561", "488")
    return [UnitKey(run=run.name, field="r00_c00", channel=name) for name in channels]


def same_tables(run: RunFolder, folder: Path) -> int:
    """Process a copy of a run from disk; return how many tables are the same, all so.

    Every number of every row, bit for bit.
    """
    copy = RunFolder(shutil.copytree(run.root, folder))
    for unit in units_of(copy):
        copy.table(unit).unlink()
    with run_progress() as progress:
        process_run(copy, progress)
    for unit in units_of(copy):
        live, _ = read_parquet(run.table(unit))
        from_disk, facts = read_parquet(copy.table(unit))
        assert int(facts["replayed_frames"]) == BURST_FRAMES
        assert len(live) == len(from_disk) > 0
        for name, column in from_disk.columns.items():
            assert live[name].tobytes() == column.tobytes()
    return len(units_of(copy))


def stopped(service: Night, run_id: str) -> RunView:
    """Stop a run; return it at its end."""
    service.control.stop(run_id)
    return service.rest(run_id, within_s=PATIENCE_S)


def starts(service: Night, key: str | None) -> list[httpx.Response]:
    """Ask fifty times at once for a run that outlasts that; return the answers."""
    plan = night_request(rows=1, columns=1, frames=20 * BURST_FRAMES)
    body = plan.model_dump(mode="json", exclude_defaults=True)
    headers = {"idempotency-key": key} if key else {}

    def start(_: int) -> httpx.Response:
        url = f"{service.launcher.url}/api/v1/runs"
        return httpx.post(
            url, json=body, headers=headers, timeout=30, trust_env=False, verify=False
        )

    with ThreadPoolExecutor(STARTS) as crowd:
        return list(crowd.map(start, range(STARTS)))
