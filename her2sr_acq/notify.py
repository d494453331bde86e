"""Tells systemd that the service is up and alive (``sd_notify``), where it asks.

Without ``NOTIFY_SOCKET`` nothing is said. Source of the protocol: sd_notify(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

SEND_S = 1.0


@dataclass(frozen=True, slots=True)
class Notifier:
    """Says how the service is. What cannot be said is no fault of the service."""

    address: str = ""
    """Of systemd's socket; empty: nobody listens."""

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Notifier:
        """Return what the service manager asked for."""
        return Notifier(environment.get("NOTIFY_SOCKET", ""))

    def say(self, *lines: str) -> None:
        """Send lines such as ``READY=1``."""
        if not self.address:
            return
        where = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(SEND_S)
            out.sendto("\n".join(lines).encode(), where)
