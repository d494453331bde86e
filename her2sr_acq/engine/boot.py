"""Which boot of the host this is: a run does not go on by itself after another."""

from __future__ import annotations

from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_name() -> str:
    """Return a name of this boot that no other boot of this host has."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # no Linux: the second of its start
        return f"{psutil.boot_time():.0f}"
