"""What the pages *Devices* and *Settings* show."""

from __future__ import annotations

from datetime import datetime

from her2sr_acq.accounts.roles import Actor, Role
from her2sr_acq.engine.device_views import DevicesView
from her2sr_acq.errors import AcqError
from her2sr_acq.service.context import Context
from her2sr_acq.service.scenes import Scene
from her2sr_proc.versions import versions

SHOWN = ("her2sr", "pymmcore-plus", "fastapi", "numpy", "numba", "zarr")


def devices_scene(context: Context) -> Scene:
    """Return what every device says of itself, and how old that is."""
    trouble, devices, health = "", None, None
    try:
        health = context.control.health()
        devices = context.control.devices()
    except AcqError as exc:
        trouble = str(exc)
    return {
        "devices": devices,
        "health": health,
        "age_s": _age_s(context, devices),
        "trouble": trouble,
    }


def settings_scene(context: Context, visitor: Actor | None) -> Scene:
    """Return the settings; users and tokens for an admin alone."""
    is_admin = visitor is not None and visitor.role.may(Role.ADMIN)
    people = context.gate.people
    return {
        "users": people.users() if is_admin else None,
        "tokens": people.tokens() if is_admin else [],
        "roles": list(Role),
        "space": context.archive.space(),
        "runs": sum(1 for _ in context.archive.run_ids()),
        "versions": versions(SHOWN),
    }


def _age_s(context: Context, devices: DevicesView | None) -> float | None:
    if devices is None:
        return None
    taken = datetime.fromisoformat(devices.taken_utc)
    return max(0.0, (context.now() - taken).total_seconds())
