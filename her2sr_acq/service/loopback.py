"""Which addresses the service may listen on, and by which names it answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from her2sr_acq.errors import ConfigError

HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Return whether only this computer can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def require_guarded(host: str, *, has_users: bool) -> None:
    """Refuse to listen where others could reach us and nobody would be asked who.

    Raises `ConfigError`.
    """
    if is_loopback(host):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(
            f"will not listen on '{host}': give an address, such as 127.0.0.1",
            host=host,
        ) from None
    if not has_users:
        raise ConfigError(
            f"will not listen on '{host}': there is no authentication before the first "
            f"user is set up, and anyone who reaches it could drive the lasers; use "
            f"`her2sr users add NAME --role admin --data DIR`, or 127.0.0.1 and an SSH "
            f"tunnel",
            host=host,
        )


def known_hosts(host: str, further: Iterable[str] = ()) -> frozenset[str]:
    """Return the names in a Host header that are ours: loopback, our own, further."""
    own = set()
    if not is_loopback(host) and not ipaddress.ip_address(host).is_unspecified:
        own.add(host)
    return HOSTS | own | {name.lower().rstrip(".") for name in further}
