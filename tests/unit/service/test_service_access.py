"""Logging in, orders under the lease, and what is written of them."""

import sqlite3
from contextlib import closing

import pytest

from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.errors import StorageError, TooManyError
from her2sr_acq.service.limiter import Attempts, Buckets, Rate

OURS = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}


@pytest.fixture
def logged_in(guarded, password):
    """The browser of an operator, on one of our pages."""
    body = {"name": "otto", "password": password}
    answer = guarded.post("/api/v1/session", json=body, headers=OURS)
    assert answer.json() == {"name": "otto", "role": "operator", "is_open": False}
    return guarded


def test_a_cookie_is_for_this_service_and_no_script(guarded, password):
    body = {"name": "vera", "password": password}
    said = guarded.post("/api/v1/session", json=body).headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "secure" not in said
    answer = guarded.post(
        "/api/v1/session",
        json=body,
        headers={"origin": "https://127.0.0.1:8000", "host": "127.0.0.1:8000"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_who_logs_out_is_out_with_the_cookie_kept(logged_in):
    cookie = logged_in.cookies["her2sr_session"]
    assert logged_in.get("/api/v1/runs").status_code == 200
    assert logged_in.delete("/api/v1/session", headers=OURS).status_code == 204
    logged_in.cookies.set("her2sr_session", cookie)
    assert logged_in.get("/api/v1/runs").status_code == 401


CROSS = [
    pytest.param({}, id="no origin"),
    pytest.param({"origin": "http://evil.example"}, id="another site"),
    pytest.param({"origin": "http://127.0.0.1:9"}, id="another port"),
    pytest.param({"origin": "null"}, id="sandbox"),
    pytest.param({"origin": "http://["}, id="no address"),
]


@pytest.mark.parametrize("headers", CROSS)
def test_a_cookie_alone_orders_nothing(logged_in, guard, headers):
    answer = logged_in.post("/api/v1/rearm", json={"by": "x"}, headers=headers)
    assert answer.status_code == 403
    assert guard.asked == []


def test_an_order_goes_to_the_microscope_with_fence_and_name(
    logged_in, control, request_body
):
    fence = logged_in.post("/api/v1/lease", headers=OURS).json()["fence"]
    headers = OURS | {"lease": str(fence)}
    body = request_body | {"operator": "otto"}
    answer = logged_in.post("/api/v1/runs", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert control.orders == [(fence, "otto")]


def test_nobody_starts_a_run_in_another_name(guarded, token, request_body):
    headers = token("operator")
    fence = guarded.post("/api/v1/lease", headers=headers).json()["fence"]
    headers["lease"] = str(fence)
    answer = guarded.post("/api/v1/runs", json=request_body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "plan-rejected")
    assert "give 'otto'" in answer.json()["detail"]


def test_only_an_admin_takes_a_lease_over(guarded, token):
    first, second, boss = token("operator"), token("operator"), token("admin")
    take = {"take_over": True}
    assert guarded.post("/api/v1/lease", headers=first).status_code == 200
    assert guarded.post("/api/v1/lease", headers=second).json()["code"] == "lease-held"
    assert guarded.post("/api/v1/lease", json=take, headers=second).status_code == 403
    assert guarded.post("/api/v1/lease", json=take, headers=boss).status_code == 200


def test_an_e_stop_needs_any_role_no_lease_and_names_who(guarded, token, guard):
    assert guarded.post("/api/v1/estop").status_code == 401
    body = {"by": "somebody-else", "reason": "smoke"}
    answer = guarded.post("/api/v1/estop", json=body, headers=token("viewer"))
    assert answer.json()["dark"] is True
    assert guard.asked == [("estop", "vera", "smoke")]


def test_an_e_stop_works_while_nobody_can_be_asked_who_it_is(
    guarded, gate, guard, monkeypatch
):
    def broken(_):
        raise StorageError("the disk is gone")

    monkeypatch.setattr(gate, "identify", broken)
    assert guarded.post("/api/v1/estop").json()["dark"] is True
    answer = guarded.get("/api/v1/runs")
    assert (answer.status_code, answer.json()["code"]) == (507, "storage")


def test_the_audit_names_who_did_what_and_is_for_admins(guarded, token):
    reason = {"by": "x", "reason": "looked"}
    guarded.post("/api/v1/rearm", json=reason, headers=token("operator"))
    guarded.post("/api/v1/runs/r1/stop", headers=token("viewer"))
    lines = guarded.get("/api/v1/audit", headers=token("admin")).json()
    done = {
        (line["kind"], line["data"]["by"], line["data"].get("status")) for line in lines
    }
    assert ("POST /api/v1/rearm", "otto", 200) in done
    assert ("POST /api/v1/runs/r1/stop", "vera", 403) in done
    assert guarded.get("/api/v1/audit", headers=token("operator")).status_code == 403


def test_a_wrong_or_empty_token_is_refused_not_taken_for_none(guarded):
    for text in ("Bearer her2sr_wrong", "Bearer ", "Bearer", "bearer x"):
        answer = guarded.get("/api/v1/runs", headers={"authorization": text})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_without_users_every_page_says_that_it_is_open(client, done):
    for path in ("/", f"/runs/{done}", "/runs/nosuch", "/login"):
        assert "No login is set up" in client.get(path).text
    assert client.get("/api/v1/session").json()["is_open"] is True


def test_with_users_a_page_says_who_one_is(logged_in):
    page = logged_in.get("/").text
    assert "No login is set up" not in page
    assert "otto (operator)" in page
    assert 'value="otto" readonly' in page


def test_no_page_runs_a_script_from_within(guarded, client):
    for path in ("/", "/login"):
        page = client.get(path).text
        assert page.count("<script") == page.count('<script src="/static/')
        assert "style=" not in page


def test_a_bucket_runs_full_again():
    now = [0.0]
    buckets = Buckets(lambda: now[0])
    rate = Rate(per_s=2.0, burst=3.0)
    for _ in range(3):
        buckets.take("a", rate)
    with pytest.raises(TooManyError, match="more than 2 requests"):
        buckets.take("a", rate)
    buckets.take("b", rate)
    now[0] = 0.6
    buckets.take("a", rate)


def test_wrong_passwords_in_a_row_cost_more_and_more_time():
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waits = []
    for _ in range(8):
        attempts.note_failure("name x", "address y")
        try:
            attempts.require_free("name x")
        except TooManyError as exc:
            waits.append(exc.context["retry_after_s"])
    assert waits == [3, 5, 9]
    attempts.forgive("name x", "address y")
    attempts.require_free("name x", "address y")


def test_too_much_is_answered_with_the_time_to_wait(guarded, gate, monkeypatch):
    def much(*_):
        raise TooManyError("too much", retry_after_s=7)

    monkeypatch.setattr(gate, "limit", much)
    answer = guarded.get("/api/v1/runs")
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-requests")
    assert answer.headers["retry-after"] == "7"


def test_users_of_the_first_version_of_the_file_are_kept(tmp_path):
    path = tmp_path / "service.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            "CREATE TABLE users (name TEXT PRIMARY KEY, role TEXT NOT NULL, password "
            "TEXT NOT NULL, created_utc TEXT NOT NULL) STRICT; INSERT INTO users "
            "VALUES ('vera', 'viewer', 'x', '2026-01-01'); PRAGMA user_version = 1;"
        )
    with ServiceDatabase(path) as database:
        assert database.rows("SELECT name, disabled FROM users") == [("vera", 0)]
    with ServiceDatabase(path) as database:
        assert database.rows("PRAGMA user_version") == [(2,)]
