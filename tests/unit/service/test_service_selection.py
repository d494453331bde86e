"""The choice of fields over HTTP."""

import pytest

CHOICE = {"fields": ["r00_c00"], "by": "op-2"}


@pytest.fixture
def place(client, request_body):
    return client.post("/api/v1/runs", json=request_body).headers["location"]


def test_what_there_is_to_choose_from_is_shown_with_pictures(client, place):
    found = client.get(f"{place}/selection").json()
    assert found["state"] == "open"
    assert found["tiles"][0]["picture"] == f"{place}/overview/r00_c00.png"


def test_a_choice_is_taken_once(client, place):
    assert client.post(f"{place}/selection", json=CHOICE).status_code == 200
    assert client.get(f"{place}/selection").json()["by"] == "op-2"
    again = client.post(f"{place}/selection", json=CHOICE)
    assert (again.status_code, again.json()["code"]) == (409, "run-conflict")


WRONG = [
    pytest.param({"fields": []}, id="no field"),
    pytest.param({"fields": ["r00_c00", "r00_c00"]}, id="one twice"),
    pytest.param({"fields": ["../x"]}, id="no name of a field"),
    pytest.param({"by": "Jane Doe"}, id="a name"),
    pytest.param({"seed": 1}, id="unknown key"),
]


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_choice_is_a_problem_document(client, place, change):
    answer = client.post(f"{place}/selection", json=CHOICE | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")


@pytest.mark.parametrize("name", ["r00_c00", "grid", "nosuch", "..%2Fmanifest"])
def test_a_picture_that_is_not_there_is_not_found(client, place, name):
    assert client.get(f"{place}/overview/{name}.png").status_code == 404
