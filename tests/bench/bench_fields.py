"""What one more field costs a night: the engine's books, REST, pages, the answer.

Run it: ``python tests/bench/bench_fields.py [--most 400]``. Runs of 4 to 400 fields lie
on disk and in the database as the engine and the steps write them; every question goes
through the real service, the real control socket and the real database. Prints CPU
milliseconds of all of it by the number of fields; ends with 1 where a cost grows faster
than the fields, or where what is asked again and again takes over 200 ms at 100 fields.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from growth import Point, Series
from made_nights import MadeDesk, MadeGuard, MadeNight, begun, count, take
from short import short_folder

from her2sr_acq.control import ControlClient
from her2sr_acq.control_server import ControlServer
from her2sr_acq.runtime import CONTROL, address
from her2sr_acq.service.app import create_app
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.context import Context
from her2sr_proc.live.facts import Facts
from her2sr_proc.offline.runs import close_run

SIZES = (4, 16, 50, 100, 200, 400)
AT, REACH_MS = 100, 200.0
ENOUGH_S, MOST_CALLS = 0.3, 20
ONCE = ("answer and report",)
"""Done once a night: linear it must be, quick it need not."""
EVENTS_PAGE = 500
Work = Callable[[], object]


def replay(client: TestClient, run: str) -> int:
    """Read every event of a run, page by page, as a client that begins anew."""
    after, found = -1, 0
    while True:
        asked = {"after": after, "limit": EVENTS_PAGE}
        page = client.get(f"/api/v1/runs/{run}/events", params=asked).json()
        found += len(page)
        if len(page) < EVENTS_PAGE:
            return found
        after = page[-1]["sequence"]


def questions(night: MadeNight, client: TestClient) -> dict[str, Work]:
    """Return what is asked of a night, by name."""
    run, last = night.order.id, night.names[-1]
    events = replay(client, run)

    def get(path: str) -> Work:
        def ask() -> None:
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.text[:300])

        return ask

    return {
        "GET runs": get("/api/v1/runs"),
        "GET run": get(f"/api/v1/runs/{run}"),
        "GET fields": get(f"/api/v1/runs/{run}/fields"),
        "GET newest events": get(f"/api/v1/runs/{run}/events?after={events - 5}"),
        "GET all events": lambda: replay(client, run),
        "GET metrics": get("/metrics"),
        "GET report": get(f"/api/v1/runs/{run}/report"),
        "GET results": get(f"/api/v1/runs/{run}/results"),
        "page of the run": get(f"/runs/{run}?field={last}"),
        "moving part of it": get(f"/parts/runs/{run}?field={last}"),
        "morning page": get(f"/runs/{run}/morning"),
        "nuclei so far": lambda: Facts(night.data).scorable(run),
        "answer and report": lambda: close_run(night.run),
    }


def measured(night: MadeNight, runtime: Path) -> dict[str, float]:
    """Return CPU seconds by what was done."""
    rest = len(night.engine_s) // 2 if len(night.engine_s) > 4 else 1
    found = {"engine's books, a field": float(np.median(night.engine_s[-rest:]))}
    for is_live in (True, False):
        desk = MadeDesk(night, is_live=is_live)
        with ControlServer(desk, address(runtime, CONTROL)):
            control, archive = ControlClient(runtime), Archive(night.data)
            context = Context(
                control, MadeGuard(), archive, now=lambda: datetime.now(UTC)
            )
            client = TestClient(create_app(context), base_url="http://127.0.0.1:8000")
            asked = questions(night, client)
            if is_live:
                asked = {
                    f"{name}, while it goes on": work
                    for name, work in asked.items()
                    if "part" in name or "metrics" in name
                }
            for name, work in asked.items():
                found[name] = cost_s(work)
    return found


def cost_s(work: Work) -> float:
    """Return the median CPU time of a call, with all threads that answer it."""
    work()
    costs: list[float] = []
    while sum(costs) < ENOUGH_S and len(costs) < MOST_CALLS:
        begun_s = time.process_time()
        work()
        costs.append(time.process_time() - begun_s)
    return float(np.median(costs))


def made(folder: Path, fields: int) -> MadeNight:
    """Return a night that was taken, counted and answered."""
    night = begun(folder / f"n{fields}", fields)
    take(night)
    count(night)
    close_run(night.run)
    # what it took to make nights is not in a service's memory: nor may its looks for
    # what can be freed go through it
    gc.collect()
    gc.freeze()
    return night


def main() -> int:
    """Measure and print; return 1 where a cost is out of reach."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="fields")
    options = parser.parse_args()
    sizes = [size for size in SIZES if size <= options.most]
    if len(sizes) < 3:
        parser.error(f"three sizes at least tell a growth: give --most {SIZES[2]}")
    is_missed = False
    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="her2sr-fields-") as name,
        short_folder() as runtime,
    ):
        for size in sizes:
            with (night := made(Path(name), size)).database:
                for what, cost in measured(night, runtime).items():
                    found.setdefault(what, []).append(cost)
            if len(found["GET run"]) > 2:  # the last table holds all the former ones
                is_missed = tell(sizes[: sizes.index(size) + 1], found)
    return 1 if is_missed else 0


def tell(sizes: list[int], found: dict[str, list[float]]) -> bool:
    """Print the table; return whether anything is out of reach."""
    heads = " | ".join(f"{size:,}" for size in sizes)
    print(f"| CPU ms at fields | {heads} | exponent |")
    print("|---" * (len(sizes) + 2) + "|")
    missed = [line(what, sizes, costs) for what, costs in found.items()]
    print(flush=True)
    return any(missed)


def line(what: str, sizes: list[int], costs: list[float]) -> bool:
    """Print a row; return whether it is out of reach."""
    points = tuple(Point(n, c, 0.0) for n, c in zip(sizes, costs, strict=True))
    law = Series(what, "fields", points).law
    shown = " | ".join(f"{1000 * cost:.1f}" for cost in costs)
    at = dict(zip(sizes, costs, strict=True)).get(AT, 0.0)
    is_slow = 1000 * at > REACH_MS and what not in ONCE
    flag = " **worse than linear**" if law.is_worse_than_linear else ""
    flag += " **slow**" if is_slow else ""
    print(f"| {what} | {shown} | {law.exponent:.2f} ± {law.error:.2f}{flag} |")
    return bool(flag)


if __name__ == "__main__":
    sys.exit(main())
