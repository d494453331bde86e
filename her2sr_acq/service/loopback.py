"""Which addresses the service may listen on while there is no authentication."""

from __future__ import annotations

import ipaddress

from her2sr_acq.errors import ConfigError


def require_loopback(host: str) -> None:
    """Refuse to listen where others could reach us. Raises `ConfigError`."""
    if host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise ConfigError(
        f"will not listen on '{host}': there is no authentication yet, so anyone who "
        f"reaches it could drive the lasers; use 127.0.0.1, and an SSH tunnel from "
        f"elsewhere",
        host=host,
    )
