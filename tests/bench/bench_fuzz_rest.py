"""10,000 random requests at the REST interface over the simulated microscope.

Hardware process, guard and microscope are those of `her2sr serve`; the service runs
in this process, with limits wide open, since the requests come faster than it allows.
Half of the requests are asked of a service without users, half with an admin's token.
Ends with 1 when a check fails or the service makes a mistake.

    python tests/bench/bench_fuzz_rest.py [--requests 10000] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from rest_fuzz import Tally, fuzz, served
from reviewed_runs import reviewed_run

from her2sr_acq.accounts.clock import utc_now
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.accounts.roles import Role
from her2sr_acq.client import Client
from her2sr_acq.control import ControlClient
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.launcher import Launcher
from her2sr_acq.service.app import create_app
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.context import Context
from her2sr_acq.service.gate import Gate, Rates
from her2sr_acq.service.limiter import Rate
from her2sr_acq.verbs.demo_config import DemoOptions, write_configuration
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import DataFolder

PLENTY = Rate(per_s=1e9, burst=1e9)
WIDE = Rates(PLENTY, PLENTY, PLENTY, free_failures=10**9)
ONLY = ("microscope", "guard")
RUN = "20260102-reviewed"
KNOWN = {
    "run_id": RUN,
    "field": "r00_c00",
    "channel": "561",
    "nucleus": "1",
    "reading": "reading-1",
    "x-observer": "observer-1",
}
"""Of a counted run, so that requests come to what lies behind its address."""
EXAMPLES = 40
"""For each route and phase."""
KEPT_S = 60.0
"""How often the lease is prolonged."""


def counted(data: Path) -> None:
    """Put a counted run with its answer and its report into a data folder."""
    run = reviewed_run(DataFolder(data).run(RUN).root)
    write_text(run.report, "<!doctype html><title>report</title>")


@contextmanager
def service(
    data: Path, runtime: Path, database: Path | None
) -> Iterator[tuple[str, str]]:
    """Yield the address of a service and an admin's token; no database: no users."""
    with ServiceDatabase(database) as held:
        gate = Gate(held, now=utc_now, rates=WIDE)
        token = ""
        if database is not None:
            gate.people.add("op-2", Role.ADMIN, "three plain words", by="bench")
            _, token = gate.people.issue(
                "op-2", label="", role=None, days=1, by="bench"
            )
        context = Context(
            control=ControlClient(runtime),
            guard=GuardClient(runtime),
            archive=Archive(DataFolder(data)),
            now=utc_now,
            gate=gate,
        )
        with served(create_app(context)) as url:
            yield url, token


@contextmanager
def leased(url: str, token: str) -> Iterator[str]:
    """Hold the lease meanwhile; yield its fence."""
    ended = threading.Event()
    with Client(url, token=token) as client:

        def keep() -> None:
            while not ended.wait(KEPT_S):
                client.hold_lease(ttl_s=300)

        fence = client.hold_lease(ttl_s=300)
        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            yield str(fence)
        finally:
            ended.set()
            keeper.join()


def ask(
    data: Path, runtime: Path, database: Path | None, wanted: int, seed: int
) -> Tally:
    """Ask until so many requests were made.

    The routes that shut the door on what follows are asked of a service of their own.
    """
    total = Tally()
    with service(data, runtime, database) as (url, token), leased(url, token) as fence:
        known = KNOWN | {"lease": fence}
        while total.requests < wanted:
            _add(
                total,
                fuzz(
                    url,
                    examples=EXAMPLES,
                    seed=seed,
                    token=token,
                    given=known,
                    shutting=False,
                ),
            )
            seed += 1
    apart = database and database.with_name("apart.db")
    with service(data, runtime, apart) as (url, token):
        _add(total, fuzz(url, examples=EXAMPLES, seed=seed, token=token, shutting=True))
    return total


def _add(total: Tally, said: Tally) -> None:
    total.add_all(said)
    print(f"  {total.requests} requests, {len(total.failures)} failures", flush=True)


def main() -> int:
    """Print what came of the requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        config = write_configuration(DemoOptions(out=data, size_px=64, frames=40))
        counted(data)
        with Launcher(config, data, port=0, only=ONLY) as launcher:
            for name, database in (("open", None), ("login", data / "service.db")):
                began, spent = time.monotonic(), time.process_time()
                found = ask(
                    data,
                    launcher.runtime,
                    database,
                    options.requests // 2,
                    options.seed,
                )
                bad += len(found.failures) + len(found.errors) + found.server_errors
                print(
                    f"{name}: {found.requests} requests, "
                    f"{len(found.failures)} failures, "
                    f"{found.server_errors} server errors, "
                    f"{len(found.errors)} errors of the tool, "
                    f"{len(found.checks)} kinds of checks, "
                    f"{time.monotonic() - began:.0f} s, "
                    f"{time.process_time() - spent:.0f} s of processor"
                )
                print(f"  answers: {dict(sorted(found.statuses.items()))}")
                print(f"  with X-Observer where it is taken: {found.named:.0%}")
                print(f"  the microscope could not: {dict(found.unavailable)}")
                if found.failures or found.errors:
                    print(found.story())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
