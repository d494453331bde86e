"""Who reads blind is sent no count and no answer: every route and page, one by one."""

import ast
import io
import json
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from reviewed_runs import reviewed_run

from her2sr_acq import service
from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.service.routes.pages import router
from her2sr_proc.errors import WriteError
from her2sr_proc.offline.casefile import CaseFile
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
PARTS |= {"picture": "superresolution", "view": "both", "level": "1"}
PARTS |= {"tile_name": "0_0", "name": "grid", "code": "en"}


def filled(path: str) -> str:
    for name, value in PARTS.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"say what stands for the parts of {path}"
    return path


READ = [filled(path) for path, verbs in DOCUMENT["paths"].items() if "get" in verbs]
SHOWN = {
    "/compare": f"/compare?run={RUN}&run=no",
    "/parts/plan": "/parts/plan?protocol=small",
}
"""What a page needs to be asked for, to show something."""
STREAM = {"accept": "text/event-stream"}
FIRST = "amplified, and a ratio of 5.5137"
"""What the first observer writes wherever something may be written freely."""
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


PAGES = [
    SHOWN.get(route.path) or filled(route.path)
    for route in router.routes
    if not route.path.startswith("/static")
]
"""Every page and part there is, a run's with the run."""


def told(answer) -> str:
    """Return all that an answer says: head, text, and what is packed in it."""
    said = [str(dict(answer.headers)), answer.text]
    body = answer.content
    if body.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            said += [packed.read(name).decode() for name in packed.namelist()]
    if body.startswith(b"\x89PNG\r\n"):
        said.append(str(Image.open(io.BytesIO(body)).info))
    # the words of the page's scripts hold every status there is
    return re.sub(r'data-words="[^"]*"', "", "\n".join(said))


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


@pytest.fixture
def ended(guarded, token, reading):
    """The first observer has seen, changed, accepted and read, while otto reads."""
    ada = token("admin")
    assert guarded.post(f"{API}/review/views", headers=ada).status_code == 200
    changed = {"arm": "sr", "her2": 77, "cep17": 33, "reason": FIRST, "revision": 0}
    place = f"{API}/review/nuclei/r00_c00/1/counts"
    assert guarded.post(place, json=changed, headers=ada).status_code == 200
    body = {"kind": "accept", "arm": "sr_merged"}
    accepted = guarded.post(f"{API}/review/acts", json=body, headers=ada)
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["state"] != "open"
    return accepted.json()


def leaks(guarded, headers) -> list[tuple[str, str]]:
    found = []
    for path in (*READ, *PAGES):
        if path.endswith("/events"):
            path += "?stay_s=0"
        for more in ({}, STREAM) if "/events" in path else ({},):
            answer = guarded.get(path, headers=headers | more, follow_redirects=False)
            said = told(answer)
            found += [(path, word) for word in (*SECRETS, FIRST) if word in said]
            assert answer.status_code < 500 or answer.status_code == 503, path
    assert len(READ) > 35
    assert len(PAGES) > 15
    return found


def test_no_route_and_no_page_sends_a_blind_reader_what_was_counted(
    guarded, reading, ended
):
    assert leaks(guarded, reading) == []


def test_the_same_secrets_are_found_where_nobody_is_blind(guarded, token, counted):
    """Proves that the search above could find something."""
    found = leaks(guarded, token("admin"))
    assert {word for _, word in found} >= {"5.5137", "5.51", "7.71", "definite"}
    ways = {"results", "report", "download.zip", "morning"}
    assert ways <= {path.rpartition("/")[2] for path, _ in found}


def test_where_the_case_stands_tells_a_blind_reader_nothing_of_the_group(
    guarded, reading, ended
):
    seen = guarded.get(f"{API}/review", headers=reading).json()
    assert (seen["state"], seen["allowed"], seen["ihc"]) == ("hidden", [], None)
    assert seen["head"] == ""  # a line of three numbers could be guessed from it
    lines = guarded.get(f"{API}/review/record", headers=reading).json()
    assert "counted" not in {line["kind"] for line in lines}
    assert "hidden" in {line["kind"] for line in lines}


def test_a_refusal_tells_a_blind_reader_nothing_of_the_group(guarded, reading, ended):
    area = {"name": "a2", "region": "normal", "outline": WHOLE}
    body = {"areas": [area], "reason": "again"}
    marked = guarded.post(f"{API}/review/regions", json=body, headers=reading)
    changed = {"arm": "sr", "her2": 2, "cep17": 2, "reason": "x", "revision": 1}
    place = f"{API}/review/nuclei/r00_c00/1/counts"
    edited = guarded.post(place, json=changed, headers=reading)
    for answer in (marked, edited):
        assert answer.status_code == 409
        assert ended["state"] not in answer.text


def test_the_bytes_of_a_named_nucleus_do_not_name_the_picture_of_a_reading(
    guarded, token, reading
):
    place = f"{API}/review/nuclei/r00_c00/1/superresolution/both.png"
    assert guarded.get(place, headers=reading).json()["code"] == "blinded"
    assert guarded.get(place, headers=token("viewer")).status_code == 200
    item = f"{API}/review/readings/reading-1/items/1/both.png"
    assert guarded.get(item, headers=reading).status_code == 200


def test_who_read_the_counts_before_the_review_began_is_told_and_reads_no_more(
    guarded, token, counted
):
    vera, ada = token("viewer"), token("admin")
    assert guarded.get(f"{API}/results", headers=vera).status_code == 200
    otto = token("operator")
    assert guarded.get(f"/runs/{RUN}/morning", headers=otto).status_code == 200
    area = {"name": "a1", "region": "invasive", "outline": WHOLE}
    guarded.post(f"{API}/review/regions", json={"areas": [area]}, headers=ada)
    begun = guarded.post(f"{API}/review/readings", json={"nuclei": 2}, headers=otto)
    assert begun.json()["code"] == "blinded"
    sights = guarded.get(f"{API}/review", headers=ada).json()["sights"]
    assert [(s["by"], s["is_before_review"]) for s in sights] == [
        ("vera", True),
        ("otto", True),
    ]


def test_where_nobody_logs_in_a_reading_after_a_sight_is_not_vouched_for(
    client, counted
):
    who = {"x-observer": "observer-1"}
    area = {"name": "a1", "region": "invasive", "outline": WHOLE}
    client.post(f"{API}/review/regions", json={"areas": [area]}, headers=who)
    assert client.get(f"{API}/counts").status_code == 200
    client.post(f"{API}/review/readings", json={"nuclei": 2}, headers=who)
    seen = client.get(f"{API}/review", headers=who).json()
    assert [one["by"] for one in seen["sights"]] == ["not-logged-in"]
    assert [one["is_vouched"] for one in seen["readings"]] == [False]
    nobody = {"x-observer": "not-logged-in"}
    assert client.get(f"{API}/review", headers=nobody).status_code == 422


def test_a_folder_that_cannot_be_written_shows_its_results_and_says_so_to_the_log(
    guarded, token, counted, monkeypatch, caplog
):
    def refuse(*_, **__):
        raise WriteError("the disk is read-only")

    monkeypatch.setattr(CaseFile, "add", refuse)
    answer = guarded.get(f"{API}/results", headers=token("viewer"))
    assert answer.status_code == 200
    assert "vera saw counts" in caplog.text


@pytest.mark.parametrize("path", COUNTED)
def test_a_record_that_is_no_file_keeps_the_counts_from_everybody(
    client, counted, path
):
    counted.case.mkdir(parents=True)
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "blinded")
    assert client.get(f"{API}/review/mosaic").json()["code"] == "bad-data"


@pytest.mark.parametrize("is_folder", [True, False])
def test_no_record_is_written_behind_a_symbolic_link(
    client, counted, tmp_path, is_folder
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = counted.case.parent if is_folder else counted.case
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere if is_folder else elsewhere / "case.jsonl")
    answer = client.post(f"{API}/review/views", headers={"x-observer": "observer-1"})
    assert answer.json()["code"] == "bad-checksum"
    assert client.get(f"{API}/counts").status_code == 409
    assert not list(elsewhere.iterdir())


def test_an_act_that_the_disk_refuses_is_told_as_its_fault(
    client, counted, monkeypatch
):
    def full(*_: object, **__: object) -> None:
        raise WriteError("the disk is full")

    monkeypatch.setattr(CaseFile, "add", full)
    answer = client.post(f"{API}/review/views", headers={"x-observer": "observer-1"})
    assert (answer.status_code, answer.json()["code"]) == (507, "not-written")


def test_a_picture_that_grew_is_not_sent_once_the_run_is_over(client, control, counted):
    ended = control.held[RUN].model_copy(update={"state": RunState.COMPLETED})
    control.held[RUN] = ended
    answer = client.get(f"{API}/growing.png")
    assert (answer.status_code, "x-localizations" in answer.headers) == (204, False)


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
