"""Alive is not ready, and the interface is the committed one."""

import json
from pathlib import Path

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"


def test_the_service_lives_without_a_microscope(client, control):
    control.is_dead = True
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_says_of_what(client):
    assert client.get("/readyz").json()["configuration"] == "simulated"


def test_a_latched_microscope_is_not_ready(client, control):
    control.latched = "the interlock is open"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "latched")
    assert "interlock is open" in answer.json()["detail"]


def test_devices_and_protocols_are_told(client):
    assert client.get("/api/v1/devices").json()["devices"][0]["label"] == "Camera"
    assert client.get("/api/v1/protocols").json()[0]["estimate"]["fields"] == 2


def test_an_unknown_address_is_a_problem_document(client):
    answer = client.get("/api/v1/nosuch")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_a_wrong_method_says_which_are_right(client):
    answer = client.delete("/api/v1/runs")
    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["allow"]


def test_the_committed_interface_is_the_one_served(client):
    served = client.get("/api/v1/openapi.json").json()
    assert served == json.loads(COMMITTED.read_text()), "write it again: make openapi"
