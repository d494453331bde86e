"""What keeps strangers out, whoever is logged in."""

import pytest

from her2sr_acq.errors import ConfigError
from her2sr_acq.service.loopback import require_guarded
from her2sr_acq.service.security import MAX_BODY


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_without_users_raises_no_refusal(host):
    require_guarded(host, has_users=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_any_other_address_is_refused_with_the_reason(host):
    with pytest.raises(ConfigError, match=r"no authentication|an address"):
        require_guarded(host, has_users=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9", "[::1]:8000"])
def test_our_names_are_answered(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::"])
def test_another_name_is_refused(client, host):
    answer = client.get("/healthz", headers={"host": host})
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown-host")


FOREIGN = [
    pytest.param({"origin": "https://evil.example"}, id="another site"),
    pytest.param({"origin": "http://127.0.0.1:9000"}, id="another port"),
    pytest.param({"origin": "null"}, id="a sandbox"),
    pytest.param({"origin": "http://["}, id="no address at all"),
    pytest.param({"sec-fetch-site": "cross-site"}, id="as the browser says"),
    pytest.param({"sec-fetch-site": "same-site"}, id="a neighbour"),
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_an_order_from_a_page_of_another_site_is_refused(
    client, control, request_body, headers
):
    answer = client.post("/api/v1/runs", json=request_body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")
    assert not control.held


def test_an_order_from_our_own_page_is_taken(client, request_body):
    headers = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    answer = client.post("/api/v1/runs", json=request_body, headers=headers)
    assert answer.status_code == 202


def test_a_large_body_is_refused_by_its_stated_length(client):
    answer = client.post("/api/v1/runs", content=b" " * (MAX_BODY + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_a_large_body_is_refused_by_its_true_length(client):
    def drip():
        for _ in range(MAX_BODY // 65536 + 2):
            yield b" " * 65536

    assert client.post("/api/v1/runs", content=drip()).status_code == 413


def test_a_body_within_the_limit_arrives_whole(client, request_body):
    padded = request_body | {"overrides": {"x": "y" * (MAX_BODY // 2)}}
    assert client.post("/api/v1/runs", json=padded).status_code == 202


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/runs", "/nosuch"])
def test_every_answer_carries_the_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "unsafe" not in headers["content-security-policy"]
