"""Runs over HTTP: accepted once, refused with a reason, stopped once."""

import pytest

from her2sr_acq import errors
from her2sr_acq.service.strings import load


def test_a_run_is_accepted_with_its_place(client, request_body):
    answer = client.post("/api/v1/runs", json=request_body)
    assert answer.status_code == 202
    assert client.get(answer.headers["location"]).json() == answer.json()


def test_the_same_key_is_the_same_run(client, request_body):
    headers = {"Idempotency-Key": "k1"}
    first = client.post("/api/v1/runs", json=request_body, headers=headers)
    second = client.post("/api/v1/runs", json=request_body, headers=headers)
    assert first.json()["id"] == second.json()["id"]
    assert len(client.get("/api/v1/runs").json()) == 1


def test_a_second_run_is_refused_while_one_holds_the_microscope(client, request_body):
    client.post("/api/v1/runs", json=request_body)
    answer = client.post("/api/v1/runs", json=request_body)
    assert (answer.status_code, answer.json()["code"]) == (409, "run-conflict")


def test_stopping_twice_is_a_conflict(client, request_body):
    place = client.post("/api/v1/runs", json=request_body).headers["location"]
    assert client.post(f"{place}/stop").json()["state"] == "stopping"
    answer = client.post(f"{place}/stop")
    assert (answer.status_code, answer.json()["code"]) == (409, "run-conflict")


WRONG = [
    pytest.param({"protocol": "nosuch"}, "plan-rejected", id="unknown protocol"),
    pytest.param({"colour": 1}, "bad-request", id="unknown key"),
    pytest.param({"sample": "Jane Doe"}, "bad-request", id="a name as sample"),
    pytest.param({"protocol": None}, "bad-request", id="neither protocol nor plan"),
]


@pytest.mark.parametrize(("change", "code"), WRONG)
def test_a_wrong_request_is_a_problem_document(client, request_body, change, code):
    answer = client.post("/api/v1/runs", json=request_body | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["type"] == f"urn:her2sr:{code}"


HARMED = [
    pytest.param("{garbage", "the body is no JSON", id="no JSON"),
    pytest.param(
        '{"protocol":"demo","sample":"s","operator":"o","overrides":{"grid.rows":NaN}}',
        "'grid.rows' holds a number that is not finite",
        id="not a number",
    ),
    pytest.param(
        '{"protocol":"demo","sample":"s\\n","operator":"o"}',
        "no pseudonym",
        id="newline",
    ),
]


DEMO = '"protocol":"demo","sample":"s","operator":"o"'
YEARS = "name a time in the years 2000 to 2100"
HARMED += [
    pytest.param(
        f'{{{DEMO},"not_before":"9999-12-31T23:59:59-23:00"}}', YEARS, id="last day"
    ),
    pytest.param(
        f'{{{DEMO},"not_before":"0001-01-01T00:00:00+23:00"}}', YEARS, id="first day"
    ),
    *(
        pytest.param(
            body, f"{key}: half of a surrogate pair is no text", id=f"half {key}"
        )
        for body, key in [
            ('{"protocol":"demo","sample":"\\ud800","operator":"o"}', "'sample'"),
            ('{"protocol":"\\udfff","sample":"s","operator":"o"}', "'protocol'"),
            (f'{{{DEMO},"overrides":{{"a":[1,"\\ud800"]}}}}', "'overrides.a.1'"),
            (f'{{{DEMO},"overrides":{{"\\ud800":1}}}}', "'overrides'"),
            ('{"\\ud800":1}', "'body'"),
            ('"\\ud800"', "'body'"),
        ]
    ),
]


@pytest.mark.parametrize("path", ["runs", "preflight"])
@pytest.mark.parametrize(("body", "words"), HARMED)
def test_a_harmed_body_is_refused_in_a_sentence(client, path, body, words):
    headers = {"content-type": "application/json"}
    answer = client.post(f"/api/v1/{path}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")
    assert words in answer.json()["detail"]


def test_a_key_that_is_no_key_is_refused(client, request_body):
    headers = {"Idempotency-Key": "x" * 129}
    answer = client.post("/api/v1/runs", json=request_body, headers=headers)
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["", "/fields"])
def test_an_unknown_run_is_not_found(client, path):
    answer = client.get(f"/api/v1/runs/nosuch{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_the_list_can_be_cut(client, control, request_body):
    for _ in range(3):
        view = client.post("/api/v1/runs", json=request_body).json()
        client.post(f"/api/v1/runs/{view['id']}/stop")
    assert len(client.get("/api/v1/runs?limit=2").json()) == 2


def test_what_is_not_expected_is_an_answer_without_its_traceback(
    client, control, monkeypatch, caplog
):
    monkeypatch.setattr(control, "runs", lambda **_: 1 / 0)
    answer = client.get("/api/v1/runs")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.json()["title"] == "The service made a mistake."
    assert "division" not in answer.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "error", [e for e in vars(errors).values() if isinstance(e, type)]
)
def test_no_title_is_a_sentence_for_programmers(client, control, monkeypatch, error):
    def fail(**_):
        said = {"may_pass": True} if error is errors.DeliveryError else {}
        raise error("so it is", **said)

    monkeypatch.setattr(control, "runs", fail)
    title = client.get("/api/v1/runs").json()["title"]
    assert title == load().text("en", f"problem.{error.code}")
    assert "class" not in title


def test_an_answer_does_not_repeat_a_key_of_any_length(client, request_body):
    body = request_body | {"k" * 10**6: 1}
    answer = client.post("/api/v1/runs", json=body, headers={"accept-language": "ja"})
    assert answer.status_code == 422
    assert len(answer.content) < 2000
