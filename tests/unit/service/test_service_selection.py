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


def test_the_page_of_the_run_offers_the_tiles_and_then_tells_who_chose(client, place):
    run = place.rsplit("/", 1)[1]
    part = client.get(f"/parts/runs/{run}/choice").text
    assert 'data-field="r00_c00"' in part
    assert 'aria-pressed="false"' in part
    client.post(f"{place}/selection", json=CHOICE)
    after = client.get(f"/runs/{run}").text
    assert "Chosen by op-2" in after
    assert "<button type=button class=" not in after
    headers = {"accept-language": "ja"}
    assert "選択者: op-2" in client.get(f"/runs/{run}", headers=headers).text


SQUARE = [[10.0, 10.0], [20.0, 10.0], [20.0, 20.0], [10.0, 20.0]]
FAR = [[x + 900.0, y] for x, y in SQUARE]


def area(ring) -> dict[str, object]:
    return {"regions": {"type": "Polygon", "coordinates": [ring]}}


@pytest.mark.parametrize(("ring", "found"), [(SQUARE, ["r00_c00"]), (FAR, [])])
def test_a_region_finds_its_tiles_and_chooses_none(client, place, ring, found):
    answer = client.post(f"{place}/selection/regions", json=area(ring))
    assert (answer.status_code, answer.json()["fields"]) == (200, found)
    assert client.get(f"{place}/selection").json()["state"] == "open"


@pytest.mark.parametrize(
    "regions",
    [{}, {"type": "Point", "coordinates": [1, 2]}, {"features": []}, {"features": 3}],
    ids=["nothing", "a point", "no feature", "no list"],
)
def test_what_is_no_area_is_refused_with_the_cure(client, place, regions):
    answer = client.post(f"{place}/selection/regions", json={"regions": regions})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad-request")
    assert "QuPath" in answer.json()["detail"]


def test_hostile_areas_are_refused(client, place):
    vast = [[10**400, 0.0], *SQUARE]
    holes = [SQUARE, [*SQUARE, *([[10.0, 15.0]] * 100_000)]]
    bodies = [area(vast), {"regions": {"type": "Polygon", "coordinates": holes}}]
    bodies.append({"regions": {"type": "MultiPolygon", "coordinates": []}})
    for body in bodies:
        answer = client.post(f"{place}/selection/regions", json=body)
        assert answer.status_code in (413, 422)


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
