"""Results over HTTP: by id alone, and with the hardware process dead."""

import pytest


@pytest.fixture
def run_url(done):
    return f"/api/v1/runs/{done}"


def test_results_are_served_while_the_hardware_process_is_dead(
    client, control, run_url
):
    control.is_dead = True
    assert client.get(f"{run_url}/results").json()["headline"] == "sr_merged"
    assert client.get(f"{run_url}/counts").text == "run,field\n"
    assert (
        client.get(f"{run_url}/report").headers["content-type"].startswith("text/html")
    )
    image = client.get(f"{run_url}/images/r00_c00/561/conventional.png")
    assert image.content == b"\x89PNG"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/runs"),
        ("GET", "/api/v1/runs/x"),
        ("POST", "/api/v1/runs/x/stop"),
        ("GET", "/api/v1/devices"),
        ("GET", "/api/v1/protocols"),
        ("GET", "/readyz"),
    ],
)
def test_orders_and_questions_say_that_it_is_dead(client, control, method, path):
    control.is_dead = True
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")


TRICKS = [
    "/api/v1/runs/../results",
    "/api/v1/runs/%2e%2e/results",
    "/api/v1/runs/..%2f..%2fetc/report",
    "/api/v1/runs/.hidden/report",
    "/api/v1/runs/{done}/images/..%2f..%2f..%2f/561/conventional.png",
    "/api/v1/runs/{done}/images/%2e%2e/561/conventional.png",
    "/api/v1/runs/{done}/images/r00_c00/%2e%2e%2f561/conventional.png",
    "/api/v1/runs/{done}/images/r00_c00/561/..%2fconventional.png",
    "/api/v1/runs/{done}%00/report",
    "/static/..%2fapp.py",
    "/static/home.html.j2",
]


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_in_place_of_an_id_is_not_found(client, done, path):
    answer = client.get(path.replace("{done}", done))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_link_out_of_the_run_is_not_followed(client, data, done, tmp_path, run_url):
    secret = tmp_path / "secret.html"
    secret.write_text("secret")
    report = data.run(done).report
    report.unlink()
    report.symlink_to(secret)
    assert client.get(f"{run_url}/report").status_code == 404


def test_a_linked_run_folder_is_no_run(client, data, done):
    (data.runs / "linked").symlink_to(data.run(done).root)
    assert client.get("/api/v1/runs/linked/report").status_code == 404
    assert client.get("/api/v1/storage").json()["runs"] == 1


def test_what_is_not_computed_yet_says_how_to_get_it(client, data, done, run_url):
    data.run(done).result.unlink()
    answer = client.get(f"{run_url}/results")
    assert answer.status_code == 404
    assert "her2sr process" in answer.json()["detail"]


def test_a_damaged_result_is_an_error_of_ours(client, data, done, run_url):
    data.run(done).result.write_text("{")
    answer = client.get(f"{run_url}/results")
    assert (answer.status_code, answer.json()["code"]) == (500, "bad-data")


def test_the_report_may_run_nothing(client, run_url):
    policy = client.get(f"{run_url}/report").headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "script-src" not in policy


def test_storage_says_what_is_left(client):
    storage = client.get("/api/v1/storage").json()
    assert 0 < storage["free_bytes"] <= storage["total_bytes"]
