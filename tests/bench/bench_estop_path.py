"""Where the time of an e-stop's answer goes: in the service, or at the guard.

Run it: ``python tests/bench/bench_estop_path.py [--presses 60] [--clients 20]``. The
clients, in a process of their own, ask for pages, devices, metrics and the hundred
fields of a run as fast as they are answered. Meanwhile the e-stop is pressed over REST
and, in turn, at the guard's own socket, each on a new connection, in the dark. Prints
how long answers took, and how long the guard says that it took of them; a small file
of the service is fetched in turn, too, since it waits behind the same event loop.
"""

from __future__ import annotations

import argparse
import http
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from nights import night, night_config, night_request, until
from short import short_folder

DEADLINE_S = 20.0
PATIENCE_S = 60.0
PAUSE_S = 0.1
"""Between presses; and of a client that is told to ask less often."""


def ask(host: str, port: int, paths: list[str], statuses: Counter[int]) -> None:
    """Ask for one path after another without an end; count answers, 0: none."""
    line = http.client.HTTPConnection(host, port, timeout=DEADLINE_S)
    while True:
        for path in paths:
            try:
                line.request("GET", path)
                answer = line.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                line.close()
                status = 0
            statuses[status] += 1
            if status != http.HTTPStatus.OK:
                time.sleep(PAUSE_S)


def crowd(host: str, port: int, run: str, clients: int) -> None:
    """Be that many clients until standard input ends; print what they were told."""
    paths = [
        f"/runs/{run}",
        "/api/v1/devices",
        "/metrics",
        f"/api/v1/runs/{run}/fields",
    ]
    statuses: Counter[int] = Counter()
    for number in range(clients):
        turned = paths[number % 4 :] + paths[: number % 4]
        threading.Thread(
            target=ask, args=(host, port, turned, statuses), daemon=True
        ).start()
    sys.stdin.read()
    print(json.dumps(statuses))


@contextmanager
def crowded(url: str, run: str, clients: int) -> Iterator[None]:
    """Have clients of a service meanwhile; print at the end what they were told."""
    if not clients:
        yield
        return
    parts = urlsplit(url)
    command = [sys.executable, __file__, "--clients", str(clients)]
    command += ["--crowd", str(parts.hostname), str(parts.port), run]
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        time.sleep(2.0)
        yield
    finally:
        out, _ = process.communicate(timeout=PATIENCE_S)
        print(f"{clients} clients, {time.monotonic() - began:.0f} s, statuses {out}")


def timed(act: Callable[[], object]) -> float:
    """Return how many milliseconds something takes."""
    began = time.monotonic()
    act()
    return 1000.0 * (time.monotonic() - began)


def told(name: str, took_ms: list[float]) -> None:
    """Print one row of the answer."""
    ordered = sorted(took_ms)
    middle, late = (ordered[int(s * len(ordered))] for s in (0.5, 0.9))
    print(f"{name} | {middle:.0f} | {late:.0f} | {ordered[-1]:.0f}")


def presses(folder: Path, times: int, clients: int) -> None:
    """Press so often, and print what came of it."""
    with night(night_config(folder, time_scale=1.0), folder / "data") as service:
        run = service.control.submit(night_request(rows=10, columns=10, frames=1000))
        until(lambda: service.guard.status().lit_nm, within_s=PATIENCE_S)
        service.guard.estop(by="bench", reason="in the dark from here on")
        service.rest(run.id, within_s=PATIENCE_S)
        parts = urlsplit(service.launcher.url)
        by_guard: list[float] = []

        def asked(method: str, path: str) -> None:
            line = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE_S)
            line.request(method, path)
            said = line.getresponse().read()
            if method == "POST":
                by_guard.append(1000.0 * json.loads(said)["seconds"])
            line.close()

        acts: dict[str, Callable[[], object]] = {
            "POST /estop": lambda: asked("POST", "/api/v1/estop"),
            "guard's socket": lambda: service.guard.estop(by="bench", reason="again"),
            "a small file": lambda: asked("GET", "/static/icon.svg"),
        }
        found: dict[str, list[float]] = {name: [] for name in acts}
        with crowded(service.launcher.url, run.id, clients):
            for _ in range(times):
                for name, act in acts.items():
                    found[name].append(timed(act))
                time.sleep(PAUSE_S)
        deaths = service.guard.status().deaths
        print(f"load {os.getloadavg()[0]:.1f}; acq ended by the guard {deaths} times")
        print("answered within / ms | median | p90 | most")
        for name, took_ms in (found | {"of POST, by the guard": by_guard}).items():
            told(name, took_ms)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=60)
    parser.add_argument("--clients", type=int, default=20, help="0: none")
    parser.add_argument("--crowd", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.crowd:
        host, port, run = options.crowd
        crowd(host, int(port), run, options.clients)
        return
    with short_folder() as folder:
        presses(folder, options.presses, options.clients)


if __name__ == "__main__":
    main()
