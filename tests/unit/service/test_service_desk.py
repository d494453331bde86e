"""Start, Runs, Devices and Settings: what they refuse, find, and keep to admins."""

import io
import zipfile

import pytest

from her2sr_acq.errors import ConfigError, LoginNeededError
from her2sr_acq.plan.models import Grid
from her2sr_acq.plan.select import SelectPlan
from her2sr_acq.service.choice_scene import Frame, Size
from her2sr_acq.service.plan_scene import Ground, draw
from her2sr_acq.service.pseudonym import refusal
from her2sr_acq.service.sight import Sight
from her2sr_proc.store.atomic import write_bytes


@pytest.mark.parametrize(
    ("sample", "key"),
    [
        ("s-17", ""),
        ("HER2-A3_b", ""),
        ("slide-2026-4", ""),
        ("", "start.refuse_shape"),
        ("Anna Muster", "start.refuse_shape"),
        ("s-17\n", "start.refuse_shape"),
        ("1961-03-24", "start.refuse_date"),
        ("x_24-3-1961", "start.refuse_date"),
        ("case-123456", "start.refuse_digits"),
        ("Muster-Anna", "start.refuse_name"),
    ],
)
def test_what_looks_like_a_patient_is_no_sample(sample, key):
    assert refusal(sample) == key


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/preflight"])
def test_a_patient_number_is_refused_with_the_reason(
    client, control, request_body, path
):
    answer = client.post(path, json=request_body | {"sample": "case-123456"})
    assert answer.status_code == 422
    assert "patient or case number" in answer.json()["detail"]
    assert not control.held


def test_the_drawing_has_every_field_in_order_of_acquisition():
    drawing = draw(Grid(rows=2, columns=3))
    assert [cell.name for cell in drawing.cells][2:4] == ["r00_c02", "r01_c02"]
    assert drawing.width == pytest.approx(1.5 * drawing.height)


def test_listed_places_are_drawn_inside_the_drawing():
    drawing = draw(Grid(positions=((10.0, 900.0), (-400.0, 20.0))))
    assert all(0 <= c.x <= drawing.width - c.width + 1e-6 for c in drawing.cells)
    assert all(0 <= c.y <= drawing.height - c.width + 1e-6 for c in drawing.cells)


def overviewed(client, data, request_body) -> None:
    """Leave a run of s1 with an overview on disk."""
    run = client.post("/api/v1/runs", json=request_body).json()["id"]
    write_bytes(data.run(run).overview_mosaic, b"\x89PNG")


def test_the_grid_is_drawn_over_the_last_overview_of_the_slide(
    client, data, request_body
):
    overviewed(client, data, request_body)
    plan = "/parts/plan?protocol=small&centre_x=66.56&centre_y=0"
    over = client.get(f"{plan}&sample=s1").text
    assert 'href="/api/v1/runs/run-0/overview/grid.png"' in over
    assert "Drawn over the overview of run run-0" in over
    assert "<image" not in client.get(f"{plan}&sample=another").text
    assert "<image" not in client.get(plan).text


def test_the_overview_lies_where_the_stage_saw_it():
    tile = Size(width_um=100.0, height_um=100.0)
    frame = Frame.of([(0.0, 0.0), (100.0, 0.0)], tile)
    ground = Ground(Sight("r", "", "/grid.png", frame, tile), (200.0, 0.0))
    drawing = draw(Grid(rows=1, columns=1, centre=(200.0, 0.0)), ground)
    seen, cell = drawing.picture, drawing.cells[0]
    assert (seen.x, seen.width) == (0.0, pytest.approx(2 * cell.width))
    assert cell.x == pytest.approx(seen.width), "the field lies beside, not inside"


@pytest.mark.parametrize(
    ("more", "count"), [("", 4), ("&choose=person&most=3", 3), ("&choose=all", 16)]
)
def test_the_cost_is_that_of_the_fields_that_are_taken(client, control, more, count):
    control.select = SelectPlan(choose="random", fields=4)
    part = client.get(f"/parts/plan?protocol=small&rows=4&columns=4{more}").text
    assert f'id="plan-fields">{count} <small>at most, of 16' in part
    assert 'data-select="random"' in part


def test_the_preview_follows_the_grid(client):
    part = client.get("/parts/plan?protocol=small&rows=3&columns=3").text
    assert part.count("<rect") == 9
    assert "no protocol" in client.get("/parts/plan?protocol=nosuch").text
    assert client.get("/parts/plan?protocol=small&rows=0").status_code == 422


def test_runs_are_found_by_sample_and_state(client, request_body, done):
    name = client.post("/api/v1/runs", json=request_body).json()["id"]
    link = f'href="/runs/{name}"'
    assert link in client.get("/parts/runs?search=S1&state=running").text
    assert link not in client.get("/parts/runs?state=completed").text
    assert "No run fits" in client.get("/parts/runs?search=nothing-like-it").text
    assert f'href="/runs/{done}"' in client.get("/parts/runs?search=finished").text


def test_two_runs_stand_side_by_side_with_intervals(client, done):
    page = client.get(f"/compare?run={done}&run=nosuch").text
    assert page.count('data-test="compared"') == 2
    assert "2.50 – 3.60" in page
    assert "no result yet" in page
    assert 'data-test="compared"' not in client.get(f"/compare?run={done}").text


def test_a_small_run_comes_as_one_zip(client, done):
    answer = client.get(f"/api/v1/runs/{done}/download.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        assert set(packed.namelist()) == {
            f"{done}/{name}" for name in ("result.json", "counts.csv", "report.html")
        }
    assert client.get("/api/v1/runs/nosuch/download.zip").status_code == 404


def test_a_user_who_is_disabled_is_kept_out_until_enabled(guarded, token):
    otto, ada = token("operator"), token("admin")
    path = "/api/v1/users/otto"
    assert guarded.get("/api/v1/runs", headers=otto).status_code == 200
    said = guarded.patch(path, json={"is_disabled": True}, headers=ada).json()
    assert said["is_disabled"]
    assert guarded.get("/api/v1/runs", headers=otto).status_code == 401
    guarded.patch(path, json={"is_disabled": False}, headers=ada)
    assert guarded.get("/api/v1/runs", headers=otto).status_code == 200


def test_a_session_ends_when_its_user_is_disabled(gate, password):
    _, cookie = gate.people.log_in("vera", password)
    gate.people.change("vera", role=None, disabled=True, by="test")
    with pytest.raises(LoginNeededError):
        gate.people.by_cookie(cookie)


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_disabled": True}])
def test_the_last_admin_stays_one(guarded, gate, token, change):
    answer = guarded.patch("/api/v1/users/ada", json=change, headers=token("admin"))
    assert answer.status_code == 409
    assert "last admin" in answer.json()["detail"]
    assert gate.people.user("ada").role == "admin"
    assert not gate.people.user("ada").is_disabled


def test_a_token_is_shown_once_and_works(guarded, token):
    ada = token("admin")
    issued = guarded.post(
        "/api/v1/users/vera/tokens", json={"label": "night"}, headers=ada
    ).json()
    own = {"authorization": f"Bearer {issued['text']}"}
    assert guarded.get("/api/v1/runs", headers=own).status_code == 200
    assert issued["text"] not in guarded.get("/api/v1/tokens", headers=ada).text
    guarded.delete(f"/api/v1/tokens/{issued['token']['id']}", headers=ada)
    assert guarded.get("/api/v1/runs", headers=own).status_code == 401


def test_an_added_user_needs_a_long_password(guarded, gate, token):
    body = {"name": "neu", "role": "viewer", "password": "short"}
    answer = guarded.post("/api/v1/users", json=body, headers=token("admin"))
    assert answer.status_code == 422
    with pytest.raises(ConfigError):
        gate.people.user("neu")


def test_users_are_shown_to_an_admin_alone(guarded, token):
    row = 'data-user="otto"'
    assert row in guarded.get("/settings", headers=token("admin")).text
    assert row not in guarded.get("/settings", headers=token("operator")).text


def test_devices_tell_what_they_say_of_themselves(client, control):
    assert 'data-device="Camera"' in client.get("/devices").text
    control.is_dead = True
    assert "does not answer" in client.get("/devices").text


def test_who_or_what_is_not_there_is_not_found(guarded, token):
    admin = token("admin")
    answers = [
        guarded.delete("/api/v1/tokens/" + "0" * 63, headers=admin),
        guarded.patch("/api/v1/users/nobody", headers=admin, json={"role": "viewer"}),
        guarded.post("/api/v1/users/nobody/tokens", headers=admin, json={"days": 9}),
    ]
    assert [a.status_code for a in answers] == [404] * 3
    assert {a.json()["code"] for a in answers} == {"not-found"}
