"""Light off, armed again, runs held and taken up: over HTTP."""

import pytest


def start(client, body):
    return client.post("/api/v1/runs", json=body).json()["id"]


def test_an_e_stop_needs_no_name_no_key_and_no_hardware_process(client, control, guard):
    control.is_dead = True
    answer = client.post("/api/v1/estop")
    assert (answer.status_code, answer.json()["dark"]) == (200, True)
    assert guard.asked == [("estop", "unnamed", "e-stop")]


def test_a_rearm_names_who_and_why(client, guard):
    body = {"by": "op-2", "reason": "door closed"}
    assert client.post("/api/v1/rearm", json=body).json() == {"armed": True}
    assert guard.asked == [("rearm", "op-2", "door closed")]
    assert client.post("/api/v1/rearm").status_code == 422


@pytest.mark.parametrize(
    ("body", "by", "reason"),
    [
        pytest.param('{"by": "Jane Doe", "reason": "smoke"}', "nobody", "smoke"),
        pytest.param('{"by": 7, "reason": [1]}', "nobody", "e-stop"),
        pytest.param('{"by": "op-2", "reason": " ", "x": 1}', "op-2", "e-stop"),
        pytest.param('{"by": "\\ud800"}', "nobody", "e-stop"),
        pytest.param('{"reason": "' + "x" * 900 + '"}', "unnamed", "x" * 500),
        pytest.param("[]", "unnamed", "e-stop"),
        pytest.param("{harmed", "unnamed", "e-stop"),
        pytest.param(b"\xff\xfe", "unnamed", "e-stop"),
        pytest.param("[" * 10**5, "unnamed", "e-stop"),
    ],
)
def test_nothing_that_is_said_with_an_e_stop_keeps_the_light_on(
    client, guard, body, by, reason
):
    answer = client.post("/api/v1/estop", content=body)
    assert (answer.status_code, answer.json()["dark"]) == (200, True)
    assert guard.asked == [("estop", by, reason)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"by": "", "reason": "door closed"}, "'by': '' is no pseudonym"),
        ({"by": "Jane Doe", "reason": "door closed"}, "no pseudonym"),
        ({"by": "op-2", "reason": ""}, "'reason': the reason is empty"),
        ({"by": "op-2", "reason": " \t"}, "'reason': the reason is empty"),
    ],
)
def test_nobody_rearms_without_a_name_and_a_reason(client, guard, body, says):
    answer = client.post("/api/v1/rearm", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert guard.asked == []


def test_a_rearm_is_refused_while_the_cause_is_there(client, guard):
    guard.refuses = "the door is open"
    answer = client.post("/api/v1/rearm", json={"by": "op-2", "reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "latched")
    assert "the door is open" in answer.json()["detail"]


def test_a_run_is_paused_and_resumed(client, request_body):
    run = start(client, request_body)
    assert client.post(f"/api/v1/runs/{run}/pause").json()["state"] == "paused"
    assert client.post(f"/api/v1/runs/{run}/resume").json()["state"] == "running"


@pytest.mark.parametrize(
    ("body", "burst"), [(None, "drop"), ({"burst": "finish"}, "finish")]
)
def test_a_stop_says_what_becomes_of_the_burst(
    client, control, request_body, body, burst
):
    run = start(client, request_body)
    answer = client.post(f"/api/v1/runs/{run}/stop", json=body)
    assert answer.json()["state"] == "stopping"
    assert control.stops == [burst]


def test_a_field_is_taken_again_by_name(client, control, request_body):
    run = start(client, request_body)
    where = f"/api/v1/runs/{run}/fields"
    body = {"channels": ["561"]}
    assert client.post(f"{where}/r00_c00/attempts", json=body).status_code == 202
    assert client.post(f"{where}/r09_c09/attempts").status_code == 404
    assert control.retaken == [("r00_c00", ("561",))]


def test_a_preflight_tells_cost_and_end(client, request_body):
    said = client.post("/api/v1/preflight", json=request_body).json()
    assert said["ok"]
    assert said["estimate"]["frames"] == 200
    assert said["finish_utc"]


def test_every_page_has_the_light_off_button(client, done):
    for page in ("/", f"/runs/{done}", "/runs/none-such"):
        assert 'data-post="/api/v1/estop"' in client.get(page).text


def test_a_latch_is_shown_with_the_way_to_take_it_back(client, control):
    control.latched = "interlock: the door was opened"
    page = client.get("/").text
    assert "the door was opened" in page
    assert 'data-post="/api/v1/rearm"' in page


def test_a_paused_run_offers_resume_and_a_running_one_pause(client, request_body):
    run = start(client, request_body)
    assert f"/api/v1/runs/{run}/pause" in client.get(f"/runs/{run}").text
    client.post(f"/api/v1/runs/{run}/pause")
    page = client.get(f"/runs/{run}").text
    assert f"/api/v1/runs/{run}/resume" in page
    assert f"/api/v1/runs/{run}/pause" not in page
