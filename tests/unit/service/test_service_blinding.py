"""Who reads blind is sent no count and no answer: every route and page, one by one."""

import ast
import json
from pathlib import Path

import pytest
from reviewed_runs import reviewed_run

from her2sr_acq import service
from her2sr_acq.engine.views import RunRequest
from her2sr_proc.schema.results import Accounting, Arm, RunResult
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.results import write_result

RUN = "20260102-reviewed"
API = f"/api/v1/runs/{RUN}"
WHOLE = [[-4.1, -4.1], [4.1, -4.1], [4.1, 4.1], [-4.1, 4.1]]
SECRETS = ("5.5137", "5.51", "7.7131", "7.71", ",77,", ":77,", ">77<", "definite")
"""Of the answer and of the machine's counts, as JSON, CSV and pages write them."""
DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
PARTS = {"run_id": RUN, "field": "r00_c00", "channel": "561", "kind": "conventional"}
PARTS |= {
    "arm": "sr",
    "nucleus": "1",
    "reading": "reading-1",
    "item": "1",
    "size": "256",
}
PARTS |= {"picture": "superresolution", "view": "both", "level": "1", "name": "grid"}
PARTS |= {"tile_name": "0_0"}


def filled(path: str) -> str:
    for name, value in PARTS.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"say what stands for the parts of {path}"
    return path


READ = [
    filled(p) for p, o in DOCUMENT["paths"].items() if "{run_id}" in p and "get" in o
]
PAGES = [f"/runs/{RUN}{end}" for end in ("", "/morning", "/review")]
PAGES += [f"/parts/runs/{RUN}", f"/compare?run={RUN}&run=no", "/runs", "/parts/runs"]
PAGES += ["/", "/devices", "/metrics", "/api/v1/runs"]
COUNTED = [f"{API}/{name}" for name in ("results", "counts", "report", "download.zip")]


def arm() -> Arm:
    return Arm(
        her2_signals=77,
        cep17_signals=33,
        nuclei=24,
        her2_per_nucleus=7.7131,
        cep17_per_nucleus=1.5,
        ratio=5.5137,
        ratio_interval_95=(5.0, 6.0),
        group=1,
        status="definite",
    )


@pytest.fixture
def counted(data, control):
    """A counted run with its answer and its report, known to the hardware process."""
    asked = RunRequest(protocol="small", sample="s1", operator="op")
    values = {"id": RUN, "folder": RUN}
    control.held = {RUN: control.submit(asked).model_copy(update=values)}
    run = reviewed_run(data.run(RUN).root)
    names = ("requested", "delivered", "written", "published", "replayed")
    known = dict.fromkeys((*names, "localizable", "localized"), 0)
    result = RunResult(
        run=RUN,
        arms={"sr_merged": arm(), "sr": arm(), "conventional": arm()},
        headline="sr_merged",
        channel_map={"561": "HER2"},
        profile="recommended",
        profile_digest="0" * 16,
        accounting=Accounting.model_validate(known),
    )
    write_result(run, result)
    write_text(run.report, "<!doctype html><title>ratio 5.5137</title>")
    return run


@pytest.fixture
def reading(guarded, token, counted):
    """Headers of otto, whose blind reading is open."""
    area = {"name": "a1", "region": "invasive", "outline": WHOLE}
    marked = guarded.post(
        f"{API}/review/regions", json={"areas": [area]}, headers=token("admin")
    )
    assert marked.status_code == 200
    otto = token("operator")
    begun = guarded.post(f"{API}/review/readings", json={"nuclei": 2}, headers=otto)
    assert begun.status_code == 201, begun.text
    return otto


def sign(guarded, otto) -> None:
    view = guarded.get(f"{API}/review/readings/reading-1", headers=otto).json()
    for item in range(1, view["items"] + 1):
        place = f"{API}/review/readings/reading-1/items/{item}"
        guarded.put(place, json={"her2": 2, "cep17": 2}, headers=otto)
    body = {"meaning": "counted blind"}
    done = guarded.post(
        f"{API}/review/readings/reading-1/signature", json=body, headers=otto
    )
    assert done.status_code == 200, done.text


def test_no_route_and_no_page_sends_a_blind_reader_what_was_counted(guarded, reading):
    leaks = []
    for path in (*READ, *PAGES):
        answer = guarded.get(path, headers=reading)
        leaks += [(path, word) for word in SECRETS if word in answer.text]
        assert answer.status_code < 500, path
    assert len(READ) > 15
    assert leaks == []


def test_the_same_secrets_are_found_where_nobody_is_blind(guarded, token, counted):
    """Proves that the search above could find something."""
    told = "".join(
        guarded.get(path, headers=token("admin")).text for path in (*READ, *PAGES)
    )
    for word in ("5.5137", "5.51", "7.71", "definite"):
        assert word in told


@pytest.mark.parametrize("path", COUNTED)
def test_counts_are_a_conflict_for_the_blind_alone(guarded, token, reading, path):
    refused = guarded.get(path, headers=reading)
    assert (refused.status_code, refused.json()["code"]) == (409, "blinded")
    assert guarded.get(path, headers=token("viewer")).status_code == 200


def test_the_browser_keeps_no_counts_past_their_day(guarded, token, counted):
    for path in COUNTED:
        answer = guarded.get(path, headers=token("viewer"))
        assert "no-cache" in answer.headers["cache-control"], path


def test_a_signature_opens_the_eyes_and_sight_is_recorded(guarded, reading):
    sign(guarded, reading)
    assert guarded.get(f"{API}/results", headers=reading).status_code == 200
    assert guarded.get(f"{API}/review", headers=reading).json()["has_seen"]


def test_who_read_the_results_of_a_run_under_review_cannot_read_it_blind(
    guarded, token, reading
):
    ada = token("admin")
    assert guarded.get(f"/runs/{RUN}/morning", headers=ada).status_code == 200
    begun = guarded.post(f"{API}/review/readings", json={"nuclei": 2}, headers=ada)
    assert (begun.status_code, begun.json()["code"]) == (409, "blinded")


def test_where_nobody_logs_in_an_open_reading_keeps_the_counts_from_all(
    client, counted
):
    who = {"x-observer": "observer-1"}
    area = {"name": "a1", "region": "invasive", "outline": WHOLE}
    client.post(f"{API}/review/regions", json={"areas": [area]}, headers=who)
    client.post(f"{API}/review/readings", json={"nuclei": 2}, headers=who)
    for path in COUNTED:
        assert client.get(path).json()["code"] == "blinded"


def test_counts_leave_the_service_by_one_door():
    """A route or page that asks the archive for counts itself would forget the rule."""
    doors = []
    for path in Path(service.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("result", "counts", "report")
                and isinstance(node.value, ast.Attribute | ast.Name)
                and (getattr(node.value, "attr", "") or getattr(node.value, "id", ""))
                == "archive"
            ):
                doors.append(path.name)
    assert set(doors) == {"answers.py"}
