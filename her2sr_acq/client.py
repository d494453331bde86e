"""The REST interface from Python, typed: what `her2sr run` and scripts of yours use.

    with Client("http://127.0.0.1:8000") as microscope:
        run = microscope.submit(request, idempotency_key="night-7")
        for view in microscope.follow(run.id):
            print(view.state, view.frames_done)

Where users are set up, give a token (`her2sr users token`); the lease that orders need
is then taken by itself, and can be held on purpose with `hold_lease`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter

from her2sr_acq import errors
from her2sr_acq.engine.choice_views import SelectionRequest, SelectionView
from her2sr_acq.engine.device_views import CheckupView, DevicesView
from her2sr_acq.engine.hand_views import StagePosition
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import (
    FieldView,
    Preflight,
    ProtocolView,
    RetakeRequest,
    RunRequest,
    RunView,
    StopRequest,
)
from her2sr_acq.errors import (
    AcqError,
    LatchedError,
    LeaseError,
    PlanRejectedError,
    ServiceUnavailableError,
)
from her2sr_acq.guard.messages import Stopped
from her2sr_proc.schema.event import Event
from her2sr_proc.schema.results import RunResult

TOKEN = "HER2SR_TOKEN"
DEADLINE_S = 20.0
"""Above the deadline of the control socket, so that its sentence arrives, and above
the quiet of a stream of events."""
API = "/api/v1"
_FAULTS: dict[str, type[AcqError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AcqError)
} | {"bad-request": PlanRejectedError}

Model = TypeVar("Model", bound=BaseModel)
_RUNS: TypeAdapter[list[RunView]] = TypeAdapter(list[RunView])
_FIELDS: TypeAdapter[list[FieldView]] = TypeAdapter(list[FieldView])
_PROTOCOLS: TypeAdapter[list[ProtocolView]] = TypeAdapter(list[ProtocolView])
_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])


class Client:
    """Asks a running service. Raises the `AcqError` of a problem document's code."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to nothing yet. ``token`` None: that of the variable HER2SR_TOKEN."""
        token = os.environ.get(TOKEN, "") if token is None else token
        self._http = httpx.Client(
            base_url=url,
            timeout=DEADLINE_S,
            transport=transport,
            headers={"authorization": f"Bearer {token}"} if token else {},
            trust_env=False,  # a proxy has no place between us and this host
        )
        self._fence: int | None = None

    def page(self, run_id: str) -> str:
        """Return the address of a run's page, for a person's browser."""
        return f"{str(self._http.base_url).rstrip('/')}/runs/{_part(run_id)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, request: RunRequest, *, idempotency_key: str) -> RunView:
        """Ask for a run. The same key and request again return the same run."""
        headers = {"Idempotency-Key": idempotency_key}
        return self._order(RunView, "/runs", request, headers=headers)

    def runs(self) -> Iterator[RunView]:
        """Yield every run, newest first, page by page."""
        path: str | None = f"{API}/runs"
        while path is not None:
            answer = self._ask("GET", path)
            yield from _RUNS.validate_json(answer.content)
            path = answer.links.get("next", {}).get("url")

    def run(self, run_id: str) -> RunView:
        """Return a run as it stands."""
        return self._read(RunView, f"/runs/{_part(run_id)}")

    def follow(self, run_id: str) -> Iterator[RunView]:
        """Yield a run at each of its changes, until it is over.

        Takes a stream that is cut off up where it was. Raises
        `ServiceUnavailableError` when the service does not answer any more.
        """
        last_id, last = "", None
        while True:
            view = self.run(run_id)
            if view != last:
                yield view
            last = view
            if view.state in FINAL:
                return
            for event_id, kind, data in self._stream(last_id):
                last_id = event_id
                changed = _view(data, run_id) if kind == "run" else None
                if changed is not None and changed != last:
                    last = changed
                    yield changed
                if last.state in FINAL:
                    return

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run with their units, in order of acquisition."""
        answer = self._ask("GET", f"{API}/runs/{_part(run_id)}/fields")
        return _FIELDS.validate_json(answer.content)

    def events(self, run_id: str, *, after: int = -1) -> list[Event]:
        """Return up to 500 chained events of a run, those after a sequence."""
        where = f"{API}/runs/{_part(run_id)}/events"
        answer = self._ask("GET", where, params={"after": after, "limit": 500})
        return _EVENTS.validate_json(answer.content)

    def pause(self, run_id: str) -> RunView:
        """Hold a run before its next burst."""
        return self._order(RunView, f"/runs/{_part(run_id)}/pause")

    def resume(self, run_id: str) -> RunView:
        """Let a paused or interrupted run go on."""
        return self._order(RunView, f"/runs/{_part(run_id)}/resume")

    def stop(self, run_id: str, stop: StopRequest | None = None) -> RunView:
        """Ask a run to end early."""
        return self._order(RunView, f"/runs/{_part(run_id)}/stop", stop)

    def retake(
        self, run_id: str, field: str, retake: RetakeRequest | None = None
    ) -> RunView:
        """Take channels of a field again, deliberately."""
        where = f"/runs/{_part(run_id)}/fields/{_part(field)}/attempts"
        return self._order(RunView, where, retake)

    def results(self, run_id: str) -> RunResult:
        """Return the answer of a run. Raises `RunNotFoundError` without one."""
        return self._read(RunResult, f"/runs/{_part(run_id)}/results")

    def counts(self, run_id: str) -> str:
        """Return the counts as CSV, one row a nucleus."""
        return self._ask("GET", f"{API}/runs/{_part(run_id)}/counts").text

    def selection(self, run_id: str) -> SelectionView:
        """Return the tiles to choose from, and the choice."""
        return self._read(SelectionView, f"/runs/{_part(run_id)}/selection")

    def choose(self, run_id: str, choice: SelectionRequest) -> RunView:
        """Hand in a person's choice of fields. Raises `RunConflictError`."""
        return self._order(RunView, f"/runs/{_part(run_id)}/selection", choice)

    def preflight(self, request: RunRequest) -> Preflight:
        """Return what would keep a run from starting now, its cost and its end."""
        return self._order(Preflight, "/preflight", request)

    def move_stage(self, *, x_um: float, y_um: float) -> StagePosition:
        """Move the stage between runs; return where it reads itself."""
        return self._order(
            StagePosition, "/stage/move", StagePosition(x_um=x_um, y_um=y_um)
        )

    def examine(self) -> CheckupView:
        """Look at everything as the doctor does; at devices between runs alone."""
        return self._order(CheckupView, "/doctor")

    def devices(self) -> DevicesView:
        """Return what every device says of itself."""
        return self._read(DevicesView, "/devices")

    def protocols(self) -> list[ProtocolView]:
        """Return the packaged protocols and what each would cost."""
        return _PROTOCOLS.validate_json(self._ask("GET", f"{API}/protocols").content)

    def estop(self, *, reason: str = "e-stop") -> Stopped:
        """Put every light out and latch. Needs no lease."""
        answer = self._ask("POST", f"{API}/estop", json={"reason": reason})
        return Stopped.model_validate_json(answer.content)

    def rearm(self, *, by: str, reason: str) -> None:
        """Take the latch back. Raises `LatchedError` while its cause is there."""
        self._ask("POST", f"{API}/rearm", json={"by": by, "reason": reason})

    def hold_lease(self, *, ttl_s: float = 30.0, take_over: bool = False) -> int:
        """Take the lease or prolong it, and return its fence.

        Raises `LeaseHeldError` while another client has it.
        """
        body = {"ttl_s": ttl_s, "take_over": take_over}
        answer = self._ask("POST", f"{API}/lease", json=body)
        self._fence = int(answer.json()["fence"])
        return self._fence

    def give_lease_back(self) -> None:
        """End one's lease, so that another need not wait for its end."""
        self._ask("DELETE", f"{API}/lease")
        self._fence = None

    def latch(self) -> str:
        """Return why no run may start until a person looked, or nothing."""
        try:
            self._ask("GET", "/readyz")
        except LatchedError as exc:
            return str(exc)
        return ""

    def _read(self, model: type[Model], path: str) -> Model:
        return model.model_validate_json(self._ask("GET", API + path).content)

    def _order(
        self,
        model: type[Model],
        path: str,
        body: BaseModel | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Model:
        """Send an order; take the lease first if that is what it lacks."""
        options: dict[str, Any] = {"json": body.model_dump(mode="json")} if body else {}
        try:
            answer = self._ask(
                "POST", API + path, headers=self._led(headers), **options
            )
        except LeaseError:
            self.hold_lease()
            answer = self._ask(
                "POST", API + path, headers=self._led(headers), **options
            )
        return model.model_validate_json(answer.content)

    def _led(self, headers: dict[str, str] | None) -> dict[str, str]:
        lease = {} if self._fence is None else {"Lease": str(self._fence)}
        return {**(headers or {}), **lease}

    def _stream(self, last_id: str) -> Iterator[tuple[str, str, str]]:
        """Yield id, kind and data of events until the stream ends, in whatever way."""
        headers = {"accept": "text/event-stream", "last-event-id": last_id}
        said: dict[str, str] = {}
        with (
            suppress(httpx.HTTPError),
            self._http.stream("GET", f"{API}/events", headers=headers) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise _fault(answer)
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name:
                    said[name] = value
                elif "data" in said:
                    yield said["id"], said["event"], said["data"]
                    said = {}

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise ServiceUnavailableError(
                f"the service at {self._http.base_url.host}:{self._http.base_url.port} "
                f"does not answer ({exc}); is `her2sr serve` running?"
            ) from exc
        if answer.is_error:
            raise _fault(answer)
        return answer


def _part(name: str) -> str:
    """Return an id as one part of an address, whatever it holds."""
    return quote(name, safe="")


def _view(data: str, run_id: str) -> RunView | None:
    view = RunView.model_validate_json(data)
    return view if view.id == run_id else None


def _fault(answer: httpx.Response) -> AcqError:
    """Return the error that a problem document tells of."""
    try:
        problem = answer.json()
        return _FAULTS.get(problem["code"], AcqError)(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return ServiceUnavailableError(
            f"the service answered {answer.status_code} without saying why"
        )
