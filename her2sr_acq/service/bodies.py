"""What the body of a request must be, whatever it asks for."""

from __future__ import annotations

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import JsonValue

from her2sr_acq.service.access import Need


async def require_text(request: Request) -> None:
    r"""Refuse a body of which a text is none: half of a surrogate pair stands in it.

    JSON may hold one, as ``\ud800``; no model, file or answer can. An e-stop is never
    refused. Raises `RequestValidationError` that names the key.
    """
    need: Need = request.state.need
    if need.is_urgent or not await request.body():
        return
    try:
        body: JsonValue = await request.json()
    except (ValueError, RecursionError):  # told where the body is read
        return
    if (keys := _broken(body)) is not None:
        raise RequestValidationError(
            [
                {
                    "type": "string_unicode",
                    "loc": ("body", *keys),
                    "msg": "half of a surrogate pair is no text; send whole characters",
                }
            ]
        )


def _broken(body: JsonValue) -> tuple[str, ...] | None:
    """Return the keys that lead to a text that is none; None: all are texts.

    Without recursion: a body may be deeper than calls may go.
    """
    left: list[tuple[tuple[str, ...], JsonValue]] = [((), body)]
    while left:
        keys, value = left.pop()
        match value:
            case str() if not _is_text(value):
                return keys
            case dict():
                if not all(map(_is_text, value)):
                    return keys
                left += [((*keys, key), held) for key, held in value.items()]
            case list():
                left += [((*keys, str(at)), held) for at, held in enumerate(value)]
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
