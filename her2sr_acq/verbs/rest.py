"""The REST interface, seen by the commands that use it."""

from __future__ import annotations

from typing import Any, Self

import httpx

from her2sr_acq import errors
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.errors import (
    AcqError,
    LatchedError,
    PlanRejectedError,
    ServiceUnavailableError,
)
from her2sr_proc.schema.results import RunResult

DEADLINE_S = 15.0
"""Above the deadline of the control socket, so that its sentence arrives."""
_FAULTS: dict[str, type[AcqError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, AcqError)
} | {"bad-request": PlanRejectedError}


class RestClient:
    """Asks a running service. Raises the `AcqError` of a problem document's code."""

    def __init__(
        self, url: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            timeout=DEADLINE_S,
            transport=transport,
            trust_env=False,  # a proxy has no place between us and this host
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def submit(self, request: RunRequest, *, idempotency_key: str) -> RunView:
        """Ask for a run."""
        answer = self._ask(
            "POST",
            "/api/v1/runs",
            json=request.model_dump(mode="json"),
            headers={"Idempotency-Key": idempotency_key},
        )
        return RunView.model_validate_json(answer.content)

    def run(self, run_id: str) -> RunView:
        """Return a run as it stands."""
        return RunView.model_validate_json(
            self._ask("GET", f"/api/v1/runs/{run_id}").content
        )

    def stop(self, run_id: str) -> RunView:
        """Ask a run to end early."""
        answer = self._ask("POST", f"/api/v1/runs/{run_id}/stop")
        return RunView.model_validate_json(answer.content)

    def results(self, run_id: str) -> RunResult:
        """Return the answer of a run. Raises `RunNotFoundError` without one."""
        answer = self._ask("GET", f"/api/v1/runs/{run_id}/results")
        return RunResult.model_validate_json(answer.content)

    def latch(self) -> str:
        """Return why no run may start until a person looked, or nothing."""
        try:
            self._ask("GET", "/readyz")
        except LatchedError as exc:
            return str(exc)
        return ""

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


def _fault(answer: httpx.Response) -> AcqError:
    """Return the error that a problem document tells of."""
    try:
        problem = answer.json()
        return _FAULTS.get(problem["code"], AcqError)(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return ServiceUnavailableError(
            f"the service answered {answer.status_code} without saying why"
        )
