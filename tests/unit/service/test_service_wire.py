"""Bytes that are no HTTP, over a real socket."""

import json
import socket
from urllib.parse import urlsplit

import pytest
from rest_fuzz import served

ONE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BAD = [
    pytest.param(ONE + b"Content-Length: many\r\n\r\n", id="a length in words"),
    pytest.param(ONE + b"Transfer-Encoding: odd\r\n\r\n", id="an unknown coding"),
    pytest.param(b"\x16\x03\x01\x02\x00\r\n\r\n", id="TLS at the wrong door"),
]


@pytest.fixture
def address(client):
    with served(client.app) as url:
        parts = urlsplit(url)
        yield parts.hostname, parts.port


def said(address: tuple[str, int], request: bytes) -> tuple[bytes, bytes]:
    """Return head and body of what is answered until the line is hung up."""
    with socket.create_connection(address, timeout=5.0) as line:
        line.sendall(request)
        whole = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = whole.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("request_", BAD)
def test_what_is_no_http_is_answered_by_a_problem_document(address, request_):
    head, body = said(address, request_)
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert b"application/problem+json" in head
    assert b"x-content-type-options" in head
    assert json.loads(body)["code"] == "bad-http"
    assert b"HTTP/1.1 200" in said(address, ONE + b"Connection: close\r\n\r\n")[0]
