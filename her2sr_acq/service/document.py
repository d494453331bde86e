"""The OpenAPI document as it is: what routes need, and errors as problem documents.

Corrects what the framework says of every application: errors are of another type here,
and a parameter that may be left out is never the text ``null``.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from her2sr_acq.service.access import COOKIE, need_of
from her2sr_acq.service.problems import MEDIA_TYPE


def install(app: FastAPI) -> None:
    """Let ``app`` give the corrected document."""
    original = app.openapi

    def documented() -> dict[str, Any]:
        if app.openapi_schema is None:
            _correct(original())
        return original()

    app.openapi = documented  # type: ignore[method-assign]


def _correct(document: dict[str, Any]) -> None:
    components = document["components"]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    document["security"] = [{"token": []}, {"session": []}]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for path in document["paths"].values():
        for method, operation in path.items():
            operation.update(need_of(operation, method.upper()).extra)
            _name_problems(operation["responses"])
            for parameter in operation.get("parameters", []):
                _drop_null(parameter["schema"])


def _name_problems(responses: dict[str, Any]) -> None:
    responses.pop("422", None)  # it is one of the 4XX
    for status in ("4XX", "5XX"):
        content = responses[status]["content"]
        content[MEDIA_TYPE] = content.pop("application/json")


def _drop_null(schema: dict[str, Any]) -> None:
    choices = [c for c in schema.get("anyOf", []) if c != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema.update(choices[0])
