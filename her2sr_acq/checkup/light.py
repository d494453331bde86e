"""What the doctor says of light: shut now, and shut without the hardware process."""

from __future__ import annotations

import os
from pathlib import Path

from her2sr_acq.checkup.finding import Finding
from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.errors import DeviceError
from her2sr_acq.guard.settings import SafeOff


def dark(hardware: Hardware) -> Finding:
    """Shut every line, and read back that it is."""
    try:
        hardware.dark()
        lit = [nm for nm, laser in hardware.lasers.items() if laser.is_on()]
    except DeviceError as exc:
        return Finding("light", False, f"not proven off: {exc}")
    if lit:
        return Finding("light", False, f"on after it was shut: {lit} nm")
    lines = ", ".join(f"{nm}" for nm in sorted(hardware.lasers))
    return Finding("light", True, f"every line reports off ({lines} nm)")


def watches(hardware: Hardware) -> list[Finding]:
    """Look at every interlock, fault, temperature and warm-up now."""
    found = [(watch, watch.trouble()) for watch in hardware.watches]
    return [
        Finding(watch.name, not trouble, trouble or f"{watch.kind}: as it should be")
        for watch, trouble in found
    ]


def coverage(config: DeviceConfig) -> Finding:
    """Look whether the guard could shut every line."""
    if not config.guard.safe_off:
        lines = ", ".join(str(laser.nm) for laser in config.lasers)
        return Finding(
            "guard",
            False,
            f"nothing shuts {lines} nm when the hardware process hangs; fill in "
            f"guard.safe_off with each laser's own command for off, or a gate",
        )
    ways = [f"{', '.join(map(str, way.nm))} nm by {_way(way)}" for way in _ways(config)]
    return Finding("guard", True, "; ".join(ways))


def paths(config: DeviceConfig, runtime: Path) -> list[Finding]:
    """Look at the guard's own ports, without a word to the lights behind them."""
    return [
        _path(way, runtime) for way in _ways(config) if way.port is not None
    ]  # what dies with the hardware process has no port


def _ways(config: DeviceConfig) -> tuple[SafeOff, ...]:
    return config.guard.safe_off


def _way(way: SafeOff) -> str:
    if way.port is None:
        return "ending the hardware process"
    return way.port + ("" if way.is_shared else ", which the guard alone owns")


def _path(way: SafeOff, runtime: Path) -> Finding:
    subject = f"guard's path {way.port}"
    kind, _, rest = str(way.port).partition(":")
    path = runtime / rest if kind == "unix" else Path(rest.rpartition(":")[0])
    if not path.exists():
        return Finding(
            subject,
            False,
            f"{path} is not there; connect the light's controller, or correct "
            f"guard.safe_off",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding(
            subject,
            False,
            f"{path} may not be opened; let this user read and write it (on most "
            f"computers the group 'dialout')",
        )
    return Finding(subject, True, f"{path} is there and may be opened")
