"""When the use of a route is written down: before its answer, or after, if urgent."""

import asyncio

import pytest

from her2sr_acq.accounts.roles import Role
from her2sr_acq.service import recorder
from her2sr_acq.service.access import Need
from her2sr_acq.service.recorder import Recorder


def order(need: Need, monkeypatch) -> list[str]:
    """Return what was sent and noted, as it came."""
    seen: list[str] = []
    monkeypatch.setattr(recorder, "_note", lambda _, status: seen.append(f"{status}"))

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def send(message) -> None:
        seen.append(message.get("body", b"start").decode())

    scope = {"type": "http", "state": {"need": need}}
    asyncio.run(Recorder(app)(scope, None, send))
    return seen


@pytest.mark.parametrize(
    ("is_urgent", "seen"),
    [
        pytest.param(False, ["200", "start", "a", "b"], id="an order"),
        pytest.param(True, ["start", "a", "b", "200"], id="an e-stop"),
    ],
)
def test_an_urgent_answer_is_whole_before_it_is_noted(monkeypatch, is_urgent, seen):
    need = Need(Role.VIEWER, is_noted=True, is_urgent=is_urgent)
    assert order(need, monkeypatch) == seen


def test_what_need_not_be_noted_is_not(monkeypatch):
    assert order(Need(Role.VIEWER), monkeypatch) == ["start", "a", "b"]
