"""The control socket of the hardware process, seen by those who ask.

A client is cheap, holds nothing open and may be used from any thread. The other end is
`control_server`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from her2sr_acq import errors
from her2sr_acq.engine.choice_views import SelectionRequest, SelectionView
from her2sr_acq.engine.database import LISTED
from her2sr_acq.engine.device_views import CheckupView, DevicesView
from her2sr_acq.engine.hand_views import (
    Jog,
    Marks,
    Picture,
    SnapRequest,
    StagePosition,
    StageView,
)
from her2sr_acq.engine.views import (
    FieldView,
    Health,
    Preflight,
    ProtocolView,
    RetakeRequest,
    RunRequest,
    RunView,
    StopRequest,
)
from her2sr_acq.errors import AcqError, ServiceUnavailableError
from her2sr_acq.runtime import CONTROL, address, listens
from her2sr_acq.stream.envelope import Body, Fault, Question, put

Model = TypeVar("Model", bound=BaseModel)

_FAULTS: dict[str, type[AcqError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AcqError)
}
_RUNS: TypeAdapter[list[RunView]] = TypeAdapter(list[RunView])
_FIELDS: TypeAdapter[list[FieldView]] = TypeAdapter(list[FieldView])
_PROTOCOLS: TypeAdapter[list[ProtocolView]] = TypeAdapter(list[ProtocolView])


class ControlClient:
    """Asks the hardware process; every question has a deadline.

    Raises the `AcqError` of the answer's code, or `ServiceUnavailableError` when there
    is no answer.
    """

    def __init__(
        self,
        runtime: Path,
        *,
        deadline_s: float = 10.0,
        fence: int | None = None,
        by: str = "",
    ) -> None:
        self._runtime = runtime
        self._path = runtime / CONTROL
        self._address = address(runtime, CONTROL)
        self._deadline_s = deadline_s
        self._fence = fence
        self._by = by

    def under(self, fence: int | None, *, by: str) -> Self:
        """Return this client as one who orders in a name, under a lease."""
        return type(self)(
            self._runtime, deadline_s=self._deadline_s, fence=fence, by=by
        )

    def submit(
        self, request: RunRequest, *, idempotency_key: str | None = None
    ) -> RunView:
        """Ask for a run. The same key and request again return the same run."""
        body: Body = {"request": request.model_dump(mode="json")}
        if idempotency_key is not None:
            body["idempotency_key"] = idempotency_key
        return self._one(RunView, "submit", body)

    def runs(self, *, limit: int = LISTED, before: str = "") -> list[RunView]:
        """Return runs, newest first: the last, or those before one."""
        body: Body = {"limit": limit, "before": before}
        return _RUNS.validate_python(self._ask("runs", body)["runs"])

    def run(self, run_id: str) -> RunView:
        """Return one run. Raises `RunNotFoundError`."""
        return self._one(RunView, "run", {"id": run_id})

    def fields(self, run_id: str) -> list[FieldView]:
        """Return the fields of a run with their units, in order of acquisition."""
        return _FIELDS.validate_python(self._ask("fields", {"id": run_id})["fields"])

    def pause(self, run_id: str) -> RunView:
        """Hold a run before its next burst."""
        return self._one(RunView, "pause", {"id": run_id})

    def resume(self, run_id: str) -> RunView:
        """Let a paused or interrupted run go on. Raises `LatchedError`."""
        return self._one(RunView, "resume", {"id": run_id})

    def stop(self, run_id: str, stop: StopRequest | None = None) -> RunView:
        """Drop or finish the burst in progress, make dark, keep what there is."""
        said = (stop or StopRequest()).model_dump()
        return self._one(RunView, "stop", {"id": run_id, **said})

    def retake(self, run_id: str, field: str, retake: RetakeRequest) -> RunView:
        """Take channels of a field again. Raises `RunConflictError` in a run."""
        body: Body = {"id": run_id, "field": field, **retake.model_dump(mode="json")}
        return self._one(RunView, "retake", body)

    def selection(self, run_id: str) -> SelectionView:
        """Return the tiles to choose from, and the choice."""
        return self._one(SelectionView, "selection", {"id": run_id})

    def choose(self, run_id: str, choice: SelectionRequest) -> RunView:
        """Hand in a person's choice of fields. Raises `RunConflictError`."""
        body: Body = {"id": run_id, "choice": choice.model_dump(mode="json")}
        return self._one(RunView, "choose", body)

    def preflight(self, request: RunRequest) -> Preflight:
        """Return what would keep a request from running now, and what it costs."""
        body: Body = {"request": request.model_dump(mode="json")}
        return self._one(Preflight, "preflight", body)

    def move(self, position: StagePosition) -> StagePosition:
        """Move the stage and return where it reads itself. Raises in a run."""
        return self._one(StagePosition, "move", position.model_dump())

    def devices(self) -> DevicesView:
        """Return what every device says of itself."""
        return self._one(DevicesView, "devices", {})

    def where(self) -> StageView:
        """Return where stage and focus stand. Raises `RunConflictError` in a run."""
        return self._one(StageView, "where", {})

    def jog(self, jog: Jog) -> StageView:
        """Step stage and focus by hand. Raises `PlanRejectedError` beyond limits."""
        return self._one(StageView, "jog", jog.model_dump())

    def mark(self, name: str) -> Marks:
        """Keep the present place under a name."""
        return self._one(Marks, "mark", {"name": name})

    def marks(self) -> Marks:
        """Return the places marked, and the rectangle that holds them."""
        return self._one(Marks, "marks", {})

    def clear_marks(self) -> Marks:
        """Forget every mark."""
        return self._one(Marks, "clear_marks", {})

    def snap(self, asked: SnapRequest) -> Picture:
        """Take one picture under a dose limit. Raises `DoseError` at its end."""
        return self._one(Picture, "snap", asked.model_dump())

    def examine(self) -> CheckupView:
        """Look at everything as the doctor does; at devices between runs alone."""
        return self._one(CheckupView, "examine", {})

    def health(self) -> Health:
        """Return whether a run could start now."""
        return self._one(Health, "health", {})

    def protocols(self) -> list[ProtocolView]:
        """Return the packaged protocols and what each would cost."""
        return _PROTOCOLS.validate_python(self._ask("protocols", {})["protocols"])

    def _one(self, model: type[Model], verb: str, body: Body) -> Model:
        try:
            return model.model_validate(self._ask(verb, body))
        except ValidationError as exc:
            raise ServiceUnavailableError(
                f"the answer to '{verb}' cannot be understood; both sides must be of "
                f"the same version",
                verb=verb,
            ) from exc

    def _ask(self, verb: str, body: Body) -> Body:
        if not listens(self._path, within_s=self._deadline_s):
            raise ServiceUnavailableError(
                f"the hardware process does not run: nobody listens on {self._path}; "
                f"start it with `her2sr serve`",
                verb=verb,
            )
        question = Question(verb=verb, body=body, fence=self._fence, by=self._by)
        answer = put(self._address, question, deadline_s=self._deadline_s)
        if not answer.ok:
            fault = answer.error or Fault(code=AcqError.code, message="no reason given")
            raise _FAULTS.get(fault.code, AcqError)(fault.message)
        return answer.body
