"""Errors as problem documents (RFC 9457): the only place that knows HTTP status.

Every document has a stable ``code``; wording may change, codes may not.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from her2sr_acq.errors import (
    AccessError,
    AccountConflictError,
    AcqError,
    ConfigError,
    DeviceError,
    DoseError,
    ForbiddenError,
    GuardError,
    InternalError,
    LeaseError,
    LeaseHeldError,
    LoginNeededError,
    NoAccountError,
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
    ServiceUnavailableError,
    StorageError,
    TooManyError,
)
from her2sr_acq.service import phrases
from her2sr_acq.service.language import spoken_by
from her2sr_proc.errors import (
    AbsentError,
    ProcError,
    RequestError,
    StateError,
    WriteError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
NAMED = 200
"""Characters of a key that an answer names: a body may have one of a megabyte."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_STATUS: dict[type[Exception], HTTPStatus] = {
    NoAccountError: HTTPStatus.NOT_FOUND,
    AccountConflictError: HTTPStatus.CONFLICT,
    ConfigError: HTTPStatus.UNPROCESSABLE_ENTITY,
    PlanRejectedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RunConflictError: HTTPStatus.CONFLICT,
    DoseError: HTTPStatus.CONFLICT,
    RunNotFoundError: HTTPStatus.NOT_FOUND,
    LoginNeededError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    LeaseError: HTTPStatus.LOCKED,
    LeaseHeldError: HTTPStatus.CONFLICT,
    TooManyError: HTTPStatus.TOO_MANY_REQUESTS,
    AccessError: HTTPStatus.FORBIDDEN,
    ServiceUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeviceError: HTTPStatus.SERVICE_UNAVAILABLE,
    GuardError: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageError: HTTPStatus.INSUFFICIENT_STORAGE,
    RequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    AbsentError: HTTPStatus.NOT_FOUND,
    StateError: HTTPStatus.CONFLICT,
    WriteError: HTTPStatus.INSUFFICIENT_STORAGE,
}


class Problem(BaseModel):
    """One thing that went wrong, for a person and for a program."""

    type: str = Field(description="urn:her2sr: and the code")
    title: str
    status: int
    detail: str = Field(description="one sentence: the cause, and the cure")
    code: str = Field(description="stable identifier")
    context: dict[str, str] = Field(default_factory=dict)


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request was refused."},
    "5XX": {"model": Problem, "description": "The service could not answer."},
}
"""For every route: what `FastAPI` should say of errors in the OpenAPI document."""


def answer(
    code: str,
    detail: str,
    status: HTTPStatus,
    *,
    title: str = "",
    context: dict[str, str] | None = None,
) -> JSONResponse:
    """Return a problem document as a response."""
    problem = Problem(
        type=f"urn:her2sr:{code}",
        title=title or status.phrase,
        status=status,
        detail=detail,
        code=code,
        context=context or {},
    )
    return JSONResponse(problem.model_dump(), status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with its problem document."""
    app.add_exception_handler(AcqError, expected)
    app.add_exception_handler(ProcError, expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _status_of(error: Exception) -> HTTPStatus:
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


async def expected(request: Request, error: Exception) -> JSONResponse:
    """Answer an error of ours with its problem document, in the language of who asks.

    The code is the same in every language.
    """
    assert isinstance(error, AcqError | ProcError)
    spoken = spoken_by(request)
    response = answer(
        error.code,
        phrases.say(spoken, str(error)),
        _status_of(error),
        title=phrases.title(spoken, error.code),
        context={key: str(value) for key, value in error.context.items()},
    )
    response.headers["content-language"] = spoken
    if isinstance(error, TooManyError):
        response.headers["retry-after"] = str(error.context.get("retry_after_s", 1))
    return response


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if faults[0]["type"] == "json_invalid":
        return answer(
            "bad-request",
            f"the body is no JSON: {faults[0]['ctx']['error']}",
            HTTPStatus.UNPROCESSABLE_ENTITY,
            title="The request cannot be understood.",
        )
    where = ".".join(str(part) for part in faults[0]["loc"][1:])[:NAMED] or "body"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    spoken = spoken_by(request)
    fault = faults[0]["msg"].removeprefix("Value error, ")
    said = phrases.say(spoken, f"'{where}': {fault}")
    return answer(
        "bad-request",
        f"{said}{more}",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        title=phrases.title(spoken, "bad-request"),
        context={"key": where},
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    response = answer(
        status.phrase.lower().replace(" ", "-"), str(error.detail), status
    )
    response.headers.update(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["allow"] = ", ".join(_allowed(request))
    return response


def _allowed(request: Request) -> list[str]:
    """Return every method of an address: its routes each know their own alone."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(
        InternalError.code,
        "the service made a mistake; its log has the details",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        title=phrases.title(spoken_by(request), InternalError.code),
    )
