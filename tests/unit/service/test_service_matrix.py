"""Every route of the OpenAPI document x every role x lease: exactly as declared."""

import json
from itertools import product
from pathlib import Path

import pytest

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text())
ORDER = ["anybody", "viewer", "operator", "admin"]
ROUTES = [
    pytest.param(method, path, said["x-role"], said["x-lease"], id=f"{method} {path}")
    for path, operations in DOCUMENT["paths"].items()
    for method, said in operations.items()
]
PARTS = {"run_id": "nosuch", "field": "r00_c00", "channel": "561", "kind": "sr"}
PARTS |= {"arm": "sr", "nucleus": "1", "reading": "reading-1", "item": "1"}
PARTS |= {"picture": "sr", "view": "both", "size": "256", "level": "1"}
PARTS |= {"tile_name": "0_0", "name": "nosuch", "token_id": "nosuch"}
REFUSED = {401, 403, 423}


def address(path: str) -> str:
    for name, value in PARTS.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"say what stands for the parts of {path}"
    stay = "?stay_s=0" if path.endswith("/events") else ""
    return path + stay


def expected(role: str, needed: str, *, lease: bool, has_lease: bool) -> int | None:
    """Return the refusal that a route must give, or None."""
    if ORDER.index(role) < ORDER.index(needed):
        return 401 if role == "anybody" else 403
    return 423 if lease and not has_lease else None


@pytest.mark.parametrize(("method", "path", "needed", "lease"), ROUTES)
def test_a_route_admits_whom_it_declares(guarded, token, method, path, needed, lease):
    wrong = []
    for role, has_lease in product(ORDER, (False, True)):
        headers = {} if role == "anybody" else token(role)
        if has_lease and role in ("operator", "admin"):
            given = guarded.post("/api/v1/lease", headers=headers).json()
            headers["lease"] = str(given["fence"])
        status = guarded.request(method, address(path), headers=headers).status_code
        refusal = status if status in REFUSED else None
        if refusal != expected(role, needed, lease=lease, has_lease="lease" in headers):
            wrong.append((role, has_lease, status))
        guarded.delete("/api/v1/lease", headers=headers)
    assert wrong == []


def test_every_route_declares_what_it_needs():
    assert len(ROUTES) >= 30
    for route in ROUTES:
        method, _, needed, lease = route.values
        assert needed in ORDER
        assert not (lease and method == "get"), "a question needs no lease"


def test_orders_alone_need_the_lease():
    under_lease = {route.values[1] for route in ROUTES if route.values[3]}
    assert under_lease == {
        "/api/v1/runs",
        "/api/v1/runs/{run_id}/pause",
        "/api/v1/runs/{run_id}/resume",
        "/api/v1/runs/{run_id}/stop",
        "/api/v1/runs/{run_id}/fields/{field}/attempts",
        "/api/v1/stage/move",
        "/api/v1/stage/jog",
        "/api/v1/stage/marks",
        "/api/v1/stage/snap",
    }


PAGES = ["/", "/runs", "/devices", "/settings", "/parts/now", "/parts/runs"]
PAGES += ["/runs/nosuch", "/parts/runs/nosuch"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_a_stranger_to_log_in(guarded, path):
    headers = {"accept": "text/html"}
    answer = guarded.get(path, headers=headers, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?then={path}"
    assert guarded.get(path).status_code == 401


def test_the_login_page_and_its_files_are_there_for_strangers(guarded):
    for path in ("/login", "/static/style.css", "/static/session.js", "/healthz"):
        assert guarded.get(path).status_code == 200
