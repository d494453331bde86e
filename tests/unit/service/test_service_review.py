"""The review over HTTP: who is blind is sent nothing, and every act is recorded."""

import json

import pytest
from reviewed_runs import MACHINE, reviewed_run

from her2sr_proc.offline.verify import broken_links
from her2sr_proc.store.lines import read_lines

RUN = "20260102-reviewed"
WHOLE = [[-4.1, -4.1], [4.1, -4.1], [4.1, 4.1], [-4.1, 4.1]]
FIRST = "/readings/reading-1"


@pytest.fixture
def folder(data):
    return reviewed_run(data.run(RUN).root)


@pytest.fixture
def ask(client, folder):
    """Return a function that asks as an observer: status and what was said."""

    def asked(who, method, path, body=None):
        url = f"/api/v1/runs/{RUN}/review{path}"
        return client.request(method, url, json=body, headers={"x-observer": who})

    return asked


@pytest.fixture
def marked(ask):
    """The same, after one person called everything invasive tumour."""
    area = {"name": "a1", "region": "invasive", "outline": WHOLE}
    assert ask("marker", "POST", "/regions", {"areas": [area]}).status_code == 200
    return ask


def read_all(ask, who, name, counts):
    items = ask(who, "GET", f"/readings/{name}").json()["items"]
    for item in range(1, items + 1):
        her2, cep17 = counts(item)
        body = {"her2": her2, "cep17": cep17}
        ask(who, "PUT", f"/readings/{name}/items/{item}", body)
    body = {"meaning": "counted blind"}
    return ask(who, "POST", f"/readings/{name}/signature", body)


def test_an_area_marks_the_nuclei_inside_by_name(marked, folder):
    view = marked("marker", "GET", "").json()
    assert view["regions"]["invasive"] == 24
    entry = json.loads(read_lines(folder.case)[0])
    assert entry["by"] == "marker"
    assert entry["identity"] == "named by the person, not authenticated"


BAD_MARKS = [
    ({"areas": [{"name": "a", "region": "normal", "outline": [[0, 0], [1, 0], [900, 1]]}]}, 422, "outside"),  # noqa: E501
    ({"areas": [{"name": "a", "region": "normal", "outline": [[0, 0], [1, 0]]}]}, 422, "at least 3"),  # noqa: E501
    ({"areas": [{"name": "a", "region": "normal", "outline": [[4, 4], [4.05, 4], [4, 4.05]]}]}, 422, "no nucleus"),  # noqa: E501
    ({"marks": {"r00_c00/99": "normal"}}, 404, "no nucleus"),
    ({"marks": {"../../etc/passwd": "normal"}}, 422, "pattern"),
    ({}, 422, "nothing is marked"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "words"), BAD_MARKS)
def test_marks_that_cannot_be_are_refused_and_leave_no_line(
    ask, folder, body, status, words
):
    answer = ask("marker", "POST", "/regions", body)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True)
    assert not read_lines(folder.case)


def test_a_changed_mark_needs_its_reason(marked):
    body = {"marks": {"r00_c00/1": "normal"}}
    assert marked("marker", "POST", "/regions", body).status_code == 422
    body["reason"] = "a duct"
    assert marked("marker", "POST", "/regions", body).status_code == 200


def test_counts_are_sent_to_nobody_who_did_not_ask_for_them(marked):
    for path in ("", "/nuclei", "/nuclei/r00_c00/1", "/record", "/mosaic"):
        assert f":{MACHINE}" not in marked("a", "GET", path).text
    marked("a", "POST", "/views")
    assert f":{MACHINE}" in marked("a", "GET", "/nuclei").text


def test_an_open_reading_tells_no_arm_no_nucleus_and_no_count(marked):
    opened = marked("a", "POST", "/readings", {"nuclei": 20, "pictures": "both"})
    assert opened.status_code == 201
    assert opened.json()["items"] == 40
    marked("other", "POST", "/views")
    change = {"arm": "sr", "her2": 55, "cep17": 44, "revision": 0, "reason": "doublet"}
    marked("other", "POST", "/nuclei/r00_c00/1/counts", change)
    paths = "", FIRST, "/nuclei", "/nuclei/r00_c00/1", "/record"
    for path in paths:
        text = marked("a", "GET", path).text
        assert not any(
            word in text for word in (f":{MACHINE}", ":55,", "doublet", "seed")
        )
    assert "r00_c00" not in opened.text + marked("a", "GET", FIRST).text
    assert "superresolution" not in opened.text + marked("a", "GET", "/record").text
    for method, path in (
        ("POST", "/views"),
        ("GET", "/answers/sr"),
        ("GET", "/agreement"),
    ):
        answer = marked("a", method, path)
        assert (answer.status_code, answer.json()["code"]) == (409, "blinded")


def test_the_order_is_drawn_by_a_seed_that_is_recorded(marked, folder):
    marked("a", "POST", "/readings", {"nuclei": 20, "pictures": "superresolution"})
    act = json.loads(read_lines(folder.case)[-1])["act"]
    keys = [item["nucleus"] for item in act["items"]]
    assert act["seed"] >= 0
    assert keys != sorted(keys)


def test_who_has_seen_counts_cannot_read_blind(marked):
    marked("a", "POST", "/views")
    answer = marked("a", "POST", "/readings", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "blinded")


def test_two_observers_are_blind_to_each_other_until_both_have_signed(marked, folder):
    marked("a", "POST", "/readings", {"nuclei": 12, "pictures": "superresolution"})
    assert read_all(marked, "a", "reading-1", lambda n: (n % 9, 2)).status_code == 200
    marked("b", "POST", "/readings", {"same_as": "reading-1"})
    assert marked("b", "GET", FIRST).json()["code"] == "blinded"
    marked("a", "POST", "/views")
    assert marked("a", "GET", "/readings/reading-2").json()["code"] == "blinded"
    assert "two" in marked("a", "GET", "/agreement").json()["detail"]
    signed = read_all(marked, "b", "reading-2", lambda n: (n % 7, 2)).json()
    one, two = (marked("a", "GET", f"/readings/reading-{n}").json() for n in (1, 2))
    places = [{i["nucleus"] for i in r["revealed"]} for r in (one, two)]
    assert places[0] == places[1]
    assert signed["revealed"][0]["picture"] == "superresolution"
    row = marked("a", "GET", "/agreement").json()["rows"][0]
    assert (row["first"], row["second"], row["nuclei"]) == ("a", "b", 12)
    assert None not in (row["kappa"], row["icc"], row["bias"])
    assert not broken_links(read_lines(folder.case))


def test_a_signed_reading_changes_no_more(marked):
    marked("a", "POST", "/readings", {"nuclei": 1, "pictures": "conventional"})
    body = {"meaning": "counted"}
    early = marked("a", "POST", f"{FIRST}/signature", body)
    assert (early.status_code, "not counted yet" in early.text) == (409, True)
    assert read_all(marked, "a", "reading-1", lambda _: (2, 2)).status_code == 200
    again = marked("a", "POST", f"{FIRST}/signature", body)
    assert (again.status_code, "was signed" in again.text) == (409, True)
    item = f"{FIRST}/items/1"
    assert marked("a", "PUT", item, {"her2": 3, "cep17": 2}).status_code == 409
    assert marked("a", "DELETE", item).status_code == 409


def test_an_answer_is_replaced_and_undone_but_stays_in_the_record(marked, folder):
    marked("a", "POST", "/readings", {"nuclei": 2, "pictures": "conventional"})
    item = f"{FIRST}/items/1"
    marked("a", "PUT", item, {"her2": 3, "cep17": 2})
    said = marked("a", "PUT", item, {"her2": 4, "cep17": 2, "is_unsure": True}).json()
    assert said["answers"]["1"]["her2"] == 4
    assert marked("a", "DELETE", item).json()["answers"] == {}
    kinds = [json.loads(line)["act"]["kind"] for line in read_lines(folder.case)]
    assert kinds[-3:] == ["read", "read", "read_withdrawn"]
    assert marked("b", "PUT", item, {"her2": 1, "cep17": 1}).json()["code"] == "blinded"


@pytest.mark.parametrize(
    "body",
    [
        {"her2": -1, "cep17": 2},
        {"her2": 2},
        {"her2": 1000, "cep17": 1},
        {"her2": True, "cep17": 1},
        {"is_excluded": True},
        {"is_excluded": True, "her2": 1, "cep17": 1, "reason": "overlap"},
    ],
)
def test_an_answer_that_cannot_be_is_refused(marked, body):
    marked("a", "POST", "/readings", {"nuclei": 2, "pictures": "conventional"})
    assert marked("a", "PUT", f"{FIRST}/items/1", body).status_code == 422


def test_a_count_is_changed_with_its_reason_and_the_machines_is_kept(marked):
    marked("a", "POST", "/views")
    url = "/nuclei/r00_c00/1/counts"
    change = {"arm": "sr_merged", "her2": 5, "cep17": 2, "revision": 0}
    assert marked("a", "POST", url, change).status_code == 422
    assert marked("a", "POST", url, change | {"reason": " "}).status_code == 422
    negative = change | {"reason": "doublet", "her2": -1}
    assert marked("a", "POST", url, negative).status_code == 422
    said = marked("a", "POST", url, change | {"reason": "doublet"}).json()
    count = said["counts"]["sr_merged"]
    assert (count["her2"], count["machine_her2"]) == (5, MACHINE)
    arm = marked("a", "GET", "/answers/sr_merged").json()["arm"]
    assert arm["her2_signals"] == 23 * MACHINE + 5


def test_of_two_changes_at_once_the_second_is_told_to_look_again(marked):
    change = {"is_excluded": True, "revision": 0, "reason": "overlap"}
    url = "/nuclei/r00_c00/1/inclusion"
    for who in ("a", "b"):
        marked(who, "POST", "/views")
    assert marked("a", "POST", url, change).status_code == 200
    late = marked("b", "POST", url, change)
    assert (late.status_code, "changed by a" in late.text) == (409, True)
    assert marked("b", "GET", "").json()["accepted"] == 23


@pytest.mark.parametrize(
    "path",
    [
        "/nuclei/r00_c00/99",
        "/readings/reading-7",
        "/readings/reading-7/items/1/both.png",
    ],
)
def test_what_is_not_there_is_not_found(ask, path):
    assert ask("a", "GET", path).status_code == 404


def test_pictures_are_served_by_id_alone(marked):
    marked("a", "POST", "/readings", {"nuclei": 1, "pictures": "conventional"})
    for path in (
        f"{FIRST}/items/1/both.png",
        "/nuclei/r00_c00/1/superresolution/her2.png?colours=clinic",
        "/fields/r00_c00/405/256.png",
    ):
        answer = marked("a", "GET", path)
        assert answer.content[:4] == b"\x89PNG", path
    assert marked("a", "GET", "/fields/..%2f..%2fx/405/256.png").status_code >= 400
    assert marked("a", "GET", "/mosaic/561/3/0_0.png").status_code == 404


def test_a_count_is_accepted_and_its_answer_signed_only_along_the_work_flow(marked):
    marked("a", "POST", "/views")
    early = marked("a", "POST", "/acts", {"kind": "sign", "meaning": "seen"})
    assert early.status_code == 409
    done = marked("a", "POST", "/acts", {"kind": "accept", "arm": "sr_merged"}).json()
    assert done["state"] in ("needs_signature", "no_answer")
    assert done["case"]["counted_by"] == "a"
    assert (
        marked("b", "POST", "/acts", {"kind": "sign", "meaning": "x"}).status_code
        == 409
    )


def test_the_page_runs_no_script_of_its_own_text_and_loads_nothing_from_elsewhere(
    client, folder
):
    page = client.get(f"/runs/{RUN}/review").text
    assert page.count("<script") == page.count("<script src=")
    assert "style=" not in page
    for name in ("review.js", "review_api.js", "review_slide.js", "review_reading.js"):
        text = client.get(f"/static/{name}").text
        assert "innerHTML" not in text
        assert "https:" not in text
    assert client.get("/runs/nosuch/review").status_code == 404


def test_the_name_of_nobody_is_taken_by_nobody(guarded, token, done):
    headers = token("operator") | {"x-observer": "not-logged-in"}
    answer = guarded.get(f"/api/v1/runs/{done}/review", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "plan-rejected")
