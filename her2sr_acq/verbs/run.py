"""``her2sr run``: one run, watched to its end, through whatever service holds DATA."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from her2sr_acq.client import TOKEN, Client
from her2sr_acq.config import describe, load
from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.errors import (
    LatchedError,
    LoginNeededError,
    PlanRejectedError,
    RunConflictError,
)
from her2sr_acq.launcher import Launcher
from her2sr_acq.ownership import holder
from her2sr_acq.plan.foresight import check_early, free_space, require_writable
from her2sr_acq.plan.load import find, known, override, parse_override, regions
from her2sr_acq.plan.models import Protocol
from her2sr_acq.verbs.progress import Show, shown
from her2sr_acq.verbs.users import has_users
from her2sr_acq.verbs.watch import follow, termination_as_interrupt


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers, and how to learn that it has failed."""

    rest: Client
    check: Callable[[], None]


@dataclass(frozen=True, slots=True)
class RunOrder:
    """What the command line asked for."""

    protocol: str
    config: Path
    data: Path
    overrides: tuple[str, ...]
    sample: str
    operator: str
    is_watched: bool = True
    """Else the run is left to the service that holds ``data``."""


def order_run(order: RunOrder) -> RunView:
    """Submit a run and return it once it is over; as it was accepted if not watched.

    Raises `PlanRejectedError` before any process is started when the request alone
    shows that it cannot be met, `RunConflictError` where a run that nobody watches has
    no service to be left to.
    """
    request = _request(order)
    if not order.is_watched:
        return _leave(order, request)
    with (
        termination_as_interrupt(),
        shown() as show,
        service(order.config, order.data, show) as running,
    ):
        return submit_and_follow(running, request, show)


def _leave(order: RunOrder, request: RunRequest) -> RunView:
    """Submit a run to the service that holds the data, and return at once."""
    if holder(order.data) is None:
        raise RunConflictError(
            f"no service holds {order.data} that the run could be left to; start one "
            f"with `her2sr serve`, or watch the run"
        )
    with shown() as show, service(order.config, order.data, show) as running:
        return running.rest.submit(request, idempotency_key=uuid.uuid4().hex)


def submit_and_follow(
    running: Service, request: RunRequest, show: Show, *, is_alone: bool = False
) -> RunView:
    """Submit a run to a service that answers, and return it once it is over.

    With ``is_alone`` a run that pauses is stopped, since nobody will resume it.

    Raises `LatchedError` when it failed so that nothing may start after it.
    """
    view = running.rest.submit(request, idempotency_key=uuid.uuid4().hex)
    show.say(f"run {view.id} of {view.frames_requested} frames was accepted")
    view = follow(running.rest, view.id, show, check=running.check, is_alone=is_alone)
    if view.state is RunState.FAULTED and (latch := running.rest.latch()):
        raise LatchedError(f"run {view.id} failed, and {latch}")
    return view


@contextmanager
def service(config: Path, data: Path, show: Show) -> Iterator[Service]:
    """Yield the service that holds ``data``, or one started here and stopped after.

    Raises `RunConflictError` when it holds another microscope, or was started without a
    web service.
    """
    require_token(data)
    owner = holder(data)
    if owner is None:
        show.say("starting the processes of the microscope")
        with (
            Launcher(config, data, port=0, tell=show.say) as launcher,
            Client(launcher.url) as rest,
        ):
            yield Service(rest, launcher.check)
        return
    wanted = load(config).name
    if owner.configuration != wanted:
        raise RunConflictError(
            f"{data} is held by process {owner.pid} with the configuration "
            f"'{owner.configuration}', not '{wanted}'; give the same configuration, "
            f"stop it, or choose another data folder"
        )
    if owner.url is None:
        raise RunConflictError(
            f"{data} is held by process {owner.pid}, which was started without a web "
            f"service; start one with `her2sr serve --only api`"
        )
    with Client(owner.url) as rest:
        yield Service(rest, lambda: None)


def require_token(data: Path) -> None:
    """Raise `LoginNeededError` where users are set up and no token is at hand."""
    if not os.environ.get(TOKEN) and has_users(data):
        raise LoginNeededError(
            f"{data} has users: make a token with `her2sr users token NAME --data "
            f"{data}` and put it into the variable {TOKEN}"
        )


def _request(order: RunOrder) -> RunRequest:
    protocol = find(order.protocol)
    overrides: dict[str, JsonValue] = dict(map(parse_override, order.overrides))
    if isinstance(named := overrides.get("select.regions"), str):
        overrides["select.regions"] = regions(Path(named))
    wanted = override(protocol, overrides)
    require_writable(order.data)
    check_early(wanted, load(order.config), free_bytes=free_space(order.data))
    plan: Protocol | None = None if order.protocol in known() else protocol
    try:
        return RunRequest.model_validate(
            {
                "protocol": None if plan else order.protocol,
                "plan": plan,
                "sample": order.sample,
                "operator": order.operator,
                "overrides": overrides,
            }
        )
    except ValidationError as exc:
        raise PlanRejectedError(describe(exc)) from exc
