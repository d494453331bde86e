"""The microscope in a person's hands over REST: step, mark, look."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from her2sr_acq.errors import DoseError, RunConflictError

API = "/api/v1/stage"


def test_a_step_ends_where_the_stage_reads_itself(client):
    assert client.get(API).json()["z_um"] == 3.0
    moved = client.post(f"{API}/jog", json={"dx_um": 10.0, "dz_um": -0.5})
    assert moved.status_code == 200
    assert (moved.json()["x_um"], moved.json()["z_um"]) == (11.0, 2.5)


def test_places_are_marked_listed_and_forgotten(client):
    for name in ("corner-1", "corner-2"):
        assert client.post(f"{API}/marks", json={"name": name}).status_code == 200
    listed = client.get(f"{API}/marks").json()
    assert [mark["name"] for mark in listed["marks"]] == ["corner-1", "corner-2"]
    assert listed["centre_um"] == [1.0, 2.0]
    assert client.delete(f"{API}/marks").json()["marks"] == []


def test_a_look_says_what_it_cost(client):
    asked = {"laser_nm": 561, "power_percent": 2.0, "exposure_ms": 50.0}
    seen = client.post(f"{API}/snap", json=asked).json()
    assert seen["dose_s"] == pytest.approx(0.001)
    assert seen["dose_s"] < seen["ceiling_s"]


@pytest.mark.parametrize(
    ("verb", "fault", "code"),
    [
        ("snap", DoseError("looking has spent its light here"), "dose"),
        ("jog", RunConflictError("a run has the microscope"), "run-conflict"),
    ],
)
def test_a_refusal_is_a_conflict_with_its_reason(
    client, control, monkeypatch, verb, fault, code
):
    def refuse(*_):
        raise fault

    monkeypatch.setattr(control, verb, refuse)
    answer = client.post(f"{API}/{verb}", json={})
    assert answer.status_code == 409
    assert code in answer.json()["code"]
    assert answer.json()["detail"] == str(fault)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jog", {"dx_um": "far"}),
        ("jog", {"step_um": 1.0}),
        ("marks", {"name": "../etc"}),
        ("snap", {"power_percent": 101}),
    ],
)
def test_a_wrong_order_is_refused_by_its_key(client, path, body):
    answer = client.post(f"{API}/{path}", json=body)
    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()["detail"]


WRONG = ["NaN", "Infinity", "-1e300", "1e7", '"3"', "true", "null", "[1]"]
REACHES = [
    ("jog", "dx_um", "from -1000000 to 1000000 um"),
    ("jog", "dz_um", "from -100000 to 100000 um"),
    ("move", "x_um", "from -1000000 to 1000000 um"),
    ("snap", "laser_nm", "from 200 to 2000 nm"),
    ("snap", "power_percent", "above 0 and up to 100 %"),
    ("snap", "exposure_ms", "above 0 and up to 1000 ms"),
]


@pytest.mark.parametrize(("path", "key", "span"), REACHES)
@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_number_of_the_range_is_told_the_range(
    client, path, key, span, text
):
    other = ', "y_um": 0.0' if path == "move" else ""
    answer = client.post(
        f"{API}/{path}",
        content=f'{{"{key}": {text}{other}}}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"'{key}': a number {span} is asked for")


@pytest.mark.parametrize("text", ["0", "-0.0001", "100.0001"])
def test_the_rim_of_a_range_is_exact(client, text):
    asked = f'{{"power_percent": {text}}}'
    kind = {"content-type": "application/json"}
    assert client.post(f"{API}/snap", content=asked, headers=kind).status_code == 422
    assert client.post(f"{API}/snap", json={"power_percent": 100}).status_code == 200


def test_the_doctor_tells_what_is_good_and_what_is_not(client):
    found = client.post("/api/v1/doctor").json()["found"]
    assert {one["state"] for one in found} == {"good", "bad"}


def test_of_two_doctors_at_once_one_looks_and_the_other_is_a_conflict(
    client, control, monkeypatch
):
    looking, done = threading.Event(), threading.Event()
    examine = control.examine

    def slow():
        looking.set()
        assert done.wait(5)
        return examine()

    monkeypatch.setattr(control, "examine", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/api/v1/doctor")
        assert looking.wait(5)
        second = client.post("/api/v1/doctor")
        done.set()
        assert first.result(5).status_code == 200
    assert (second.status_code, second.json()["code"]) == (409, "run-conflict")
    assert client.post("/api/v1/doctor").status_code == 200


def test_the_doctor_of_a_process_that_is_gone_says_so(client, control):
    control.is_dead = True
    assert client.post("/api/v1/doctor").status_code == 503
