"""Asks a service what its OpenAPI document allows, and what it does not, at random.

schemathesis makes the requests from the document and judges the answers: no error of
the server, only declared statuses, types and schemas, wrong data refused, a missing
login refused, other methods refused, and chains of requests that follow each other.
"""

from __future__ import annotations

import re
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import schemathesis
import uvicorn
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import Request

from her2sr_acq.service.wire import ProblemProtocol

DOCUMENT = "/api/v1/openapi.json"
PHASES = ("examples", "coverage", "fuzzing", "stateful")
REFUSALS = ["2xx", "401", "403", "404", "409", "423", "429", "503", "507"]
"""Answers to good data that depend on the state of the microscope or on who asks."""
REJECTIONS = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422"]
REJECTIONS += ["423", "428", "429", "5xx"]
"""What schemathesis takes for a refusal, and 423, which it does not know."""
BRIEF = {"enabled": True, "unexpected-methods": ["PATCH"]}
PLANNING = tuple(
    f"POST /api/v1/{name}"
    for name in ("runs", "preflight", "stage/move", "stage/jog", "stage/snap")
)
ANSWERING = "PUT /api/v1/runs/{run_id}/review/readings/{reading}/items/{item}"
"""Counts, or an exclusion with its reason: a rule that a schema does not tell."""
REGIONS = "POST /api/v1/runs/{run_id}/selection/regions"
"""GeoJSON of areas, which its reader checks: the schema says an object."""
REVIEWING = tuple(
    f"POST /api/v1/runs/{{run_id}}/review/{name}" for name in ("regions", "readings")
)
"""An area must hold a nucleus, and a reading needs marked ones."""
CHOOSING = "POST /api/v1/runs/{run_id}/selection"
"""Whoever is logged in chooses, under no other name."""
MICROSCOPE = ["2xx", "3xx", "4xx", "503", "507"]
"""503 and 507 are of a microscope or disk that cannot now; they are counted."""
PLAN = [*REFUSALS, "422"]
"""A good body may ask for a run or a place that this microscope does not have."""
SHUTTING = r"/api/v1/(users|tokens|session|lease)\b"
OTHERS = rf"^(?!{SHUTTING})"
"""Who makes the first user shuts the door on all who come without a name, and who
gives the lease back takes it from every later order: asked last, or asked apart."""
FRAMING = frozenset({"connection", "content-length", "host", "transfer-encoding"})
"""Say where a message ends and whose it is: HTTP's, not the interface's. A length that
is drawn at random leaves a server waiting for a body that nobody sends, or is refused
before any route is found."""
REVIEW = re.compile(r"/runs/[^/]+/review(?!.*(\.png|/mosaic))")
"""What asks for the name of an observer where nobody logs in."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PLACES = ("path_parameters", "headers")


@dataclass
class Tally:
    """What came of many requests."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    unavailable: Counter[str] = field(default_factory=Counter)
    """Codes of answers that say the microscope cannot now."""
    failures: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    observers: Counter[bool] = field(default_factory=Counter)
    """Of requests of the review: whether they carried the name of an observer."""

    def add_all(self, other: Tally) -> None:
        """Take what came of further requests to it."""
        self.requests += other.requests
        for name in ("statuses", "checks", "unavailable", "observers"):
            getattr(self, name).update(getattr(other, name))
        self.failures |= other.failures
        self.errors += other.errors

    def add(self, event: events.ScenarioFinished) -> None:
        """Count the requests of a scenario and keep what failed."""
        for interaction in event.recorder.interactions.values():
            self.requests += 1
            self._note_observer(interaction.request)
            if interaction.response is not None:
                status = interaction.response.status_code
                self.statuses[status] += 1
                if status in (503, 507):
                    self.unavailable[interaction.response.json()["code"]] += 1
        for nodes in event.recorder.checks.values():
            for node in nodes:
                self.checks[node.name] += 1
                if node.failure_info is not None:
                    failure = node.failure_info
                    key = f"{event.recorder.label} {node.name}"
                    self.failures.setdefault(
                        key, f"{failure.failure}\n{failure.code_sample}"
                    )

    def _note_observer(self, request: Request) -> None:
        if REVIEW.search(request.uri):
            said = {name.lower(): values for name, values in request.headers.items()}
            name = "".join(said.get("x-observer", ()))
            self.observers[bool(NAME.fullmatch(name))] += 1

    @property
    def named(self) -> float:
        """Share of the requests of the review that named an observer."""
        return self.observers[True] / max(1, self.observers.total())

    @property
    def server_errors(self) -> int:
        """Answers that say we made a mistake; 503 and 507 are of the microscope."""
        return sum(n for status, n in self.statuses.items() if status in (500, 502))

    def story(self) -> str:
        """Return what failed, in full."""
        return "\n\n".join(
            [*(f"{k}: {v}" for k, v in self.failures.items()), *self.errors]
        )


def fuzz(
    url: str,
    *,
    examples: int,
    seed: int,
    token: str = "",
    lease: int | None = None,
    phases: tuple[str, ...] = PHASES,
    is_brief: bool = False,
    given: Mapping[str, str] | None = None,
    shutting: bool | None = None,
) -> Tally:
    """Ask the service at ``url`` and return what came of it.

    ``examples`` are for each route and phase. Without a ``token`` the service is taken
    for one that asks nobody to log in. Orders go under ``lease``, if one is given.
    ``given``: parameters of the document, such as the id of a run that is there, that
    three of four requests carry instead of what was drawn, so that they come past the
    first refusal. ``shutting``: ask the routes of `SHUTTING` alone, or, where false,
    all but them.
    """
    fixed: dict[str, object] = {"query.stay_s": 0}  # a stream would not end
    if lease is not None:
        fixed["header.lease"] = str(lease)
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": url,
            "continue-on-failure": True,
            "request-timeout": 20.0,
            "generation": {"max-examples": examples, "database": "none"},
            "parameters": fixed,
            "phases": {name: {"enabled": name in phases} for name in PHASES}
            | ({"coverage": BRIEF} if is_brief else {}),
            "checks": {
                "positive_data_acceptance": {"expected-statuses": REFUSALS},
                "negative_data_rejection": {"expected-statuses": REJECTIONS},
                "not_a_server_error": {"expected-statuses": MICROSCOPE},
                "ignored_auth": {"enabled": bool(token)},
            },
            "auth": {"openapi": {"token": {"bearer": token}}} if token else {},
            "operations": [
                {
                    "include-name": [
                        *PLANNING,
                        *REVIEWING,
                        CHOOSING,
                        ANSWERING,
                        REGIONS,
                    ],
                    "checks": {"positive_data_acceptance": {"expected-statuses": PLAN}},
                }
            ],
        }
    )
    tally = Tally()
    schema = schemathesis.openapi.from_url(url + DOCUMENT, config=config)
    if is_brief:  # a plan has very many ways to be wrong: they are for the long run
        for name in ("runs", "preflight"):
            schema = schema.exclude(method="POST", path=f"/api/v1/{name}")
    if shutting is not None:
        # `include` would add to what the settings by operation include: everything
        schema = schema.exclude(path_regex=OTHERS if shutting else SHUTTING)
    schema.hook("filter_case")(_leaves_framing_alone)
    schema.hook("map_case")(partial(_with, given or {}))
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            tally.add(event)
        elif isinstance(event, events.NonFatalError):
            tally.errors.append(f"{event.label}: {event.value}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return tally


def _leaves_framing_alone(context: HookContext, case: Case) -> bool:
    return FRAMING.isdisjoint(name.lower() for name in case.headers or ())


def _with(given: Mapping[str, str], context: HookContext, case: Case) -> Case:
    """Put what is given where the operation takes it, in three of four cases.

    Which ones follows from the case itself: one that is drawn again stays the same.
    """
    if zlib.crc32(repr(case).encode()) % 4 == 0:
        return case
    for place in PLACES:
        taken = {one.name for one in getattr(case.operation, place)}
        known = {name: value for name, value in given.items() if name in taken}
        if known:
            held = getattr(case, place) or {}
            held.update(known)
            setattr(case, place, held)  # or the case is judged by what was drawn
    return case


@contextmanager
def served(app: object) -> Iterator[str]:
    """Serve an application on a free port of this process and yield its address."""
    # named TCP, or asyncio leaves its delays on and every answer takes 40 ms
    kind = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    with socket.socket(*kind) as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=ProblemProtocol, log_level="critical", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
