"""A notice to a webhook: to an address that was checked, and to no other.

The name is resolved once, every address of the answer is checked, and the connection
goes to that address; a second answer of the name server cannot lead elsewhere.
Redirects are not followed, and proxies of the environment are not asked.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from her2sr_acq.config_notify import Network, WebhookConfig
from her2sr_acq.errors import DeliveryError
from her2sr_acq.notifying.deadline import cut_off_after
from her2sr_acq.notifying.notice import Notice

DEADLINE_S = 5.0
"""To connect, and again to hand over and be answered."""
TRIED = 3
"""Addresses of a name: the first may be of a kind that this network has not."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""Leads to any IPv4 address, private ones too (RFC 6052)."""
Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """Return every address of a name. Raises `OSError` where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def signature(secret: str, stamp: int, body: bytes) -> str:
    """Return what proves sender and time: ``t=<seconds>,v1=<HMAC-SHA256, hex>``.

    Of the ASCII seconds, a dot, and the body.
    """
    signed = str(stamp).encode() + b"." + body
    return (
        f"t={stamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"
    )


class Webhook:
    """Sends to one webhook. Used by one thread."""

    def __init__(
        self,
        config: WebhookConfig,
        private: Sequence[Network],
        *,
        now: Callable[[], datetime],
        resolver: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Read the secret. Raises `ConfigError` where there is none."""
        self._config, self._private = config, tuple(private)
        self._secret = config.secret.read() if config.secret else None
        self._now, self._resolve, self._deadline_s = now, resolver, deadline_s
        self._tls = tls or ssl.create_default_context()

    def send(self, notice: Notice) -> None:
        """Send it once. Raises `DeliveryError` unless it was taken."""
        body = notice.body(self._config.format)
        parts = self._config.parts
        is_tls = parts.scheme == "https"
        port = parts.port or (443 if is_tls else 80)
        try:
            addresses = self._checked(port, is_tls=is_tls)
            line = self._connected(addresses, port)
            status = self._post(line, body, notice, is_tls=is_tls)
        except (OSError, http.client.HTTPException) as exc:
            raise DeliveryError(
                f"{self._config.host} does not take notices: {exc!r}", may_pass=True
            ) from exc
        if not 200 <= status < 300:
            raise DeliveryError(
                f"{self._config.host} answered {status}",
                may_pass=status >= 500 or status in (408, 429),
            )

    def _checked(self, port: int, *, is_tls: bool) -> list[str]:
        """Return the addresses of the name, once all of them may be connected to."""
        found = [ip_address(a) for a in self._resolve(self._config.host, port)]
        for address in found:
            is_listed = any(address in network for network in self._private)
            if not is_listed and (not _is_public(address) or not is_tls):
                raise DeliveryError(
                    f"{self._config.host} leads to {address}, which is private and not "
                    f"in allow_private, or not encrypted",
                    may_pass=False,
                )
        return [str(address) for address in found]

    def _connected(self, addresses: list[str], port: int) -> socket.socket:
        """Return a line to the first address that takes it."""
        fault = OSError("the name has no address")
        for address in addresses[:TRIED]:
            try:
                return socket.create_connection(
                    (address, port), timeout=self._deadline_s
                )
            except OSError as exc:
                fault = exc
        raise fault

    def _post(
        self, line: socket.socket, body: bytes, notice: Notice, *, is_tls: bool
    ) -> int:
        parts = self._config.parts
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with ExitStack() as stack:
            stack.callback(lambda: line.close())
            stack.enter_context(cut_off_after(self._deadline_s, lambda: line))
            if is_tls:
                line = self._tls.wrap_socket(line, server_hostname=self._config.host)
            connection = http.client.HTTPConnection(self._config.host)
            connection.sock = line
            connection.request("POST", path, body, self._headers(notice, body))
            with connection.getresponse() as answer:
                return answer.status

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        parts = self._config.parts
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": "her2sr",
            "Connection": "close",
            "Her2sr-Event": notice.kind,
            "Her2sr-Notice": notice.id,
        }
        if self._secret is not None:
            stamp = int(self._now().timestamp())
            headers["Her2sr-Signature"] = signature(self._secret, stamp, body)
        return headers


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anybody on the internet could have that address.

    An IPv4 address inside an IPv6 one is judged by itself.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return _is_public(inner)
        if address.teredo is not None or address in _NAT64:
            return False
    return address.is_global and not address.is_multicast
