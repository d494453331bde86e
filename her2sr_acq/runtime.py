"""Where the processes of one data folder meet: a private folder of sockets.

The folder is a function of the data folder, so that a command finds the service of
its data without being told. Nothing in it outlives a reboot, and nothing needs to.
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from pathlib import Path

from her2sr_acq.errors import ConfigError

VARIABLE = "HER2SR_RUNTIME"
CONTROL = "control.ipc"
FRAMES = "frames.ipc"
PREVIEW = "preview.ipc"
LOCALIZER = "localizer.ipc"
MICROSCOPE = "microscope.ipc"
MAX_PATH = 99
"""A unix socket's path ends at 107 bytes; one below 100 works everywhere."""


def runtime_folder(data: Path) -> Path:
    """Return the private folder of ``data``'s processes, made if it is not there.

    Raises `ConfigError` when it is not ours alone or too long for a socket.
    """
    folder = _choose(data)
    longest = folder / "microscope-frames.ipc"
    if len(os.fsencode(longest)) > MAX_PATH:
        raise ConfigError(
            f"the runtime folder {folder} is too long for sockets; set {VARIABLE} to "
            f"a folder with a short path, such as /tmp/her2sr",
            path=str(folder),
        )
    if VARIABLE not in os.environ:
        _make_private(folder.parent)  # else its owner could put another in our place
    _make_private(folder)
    return folder


def address(runtime: Path, name: str) -> str:
    """Return the ZeroMQ address of one of the sockets in a runtime folder."""
    return f"ipc://{runtime / name}"


def listens(path: Path, *, within_s: float) -> bool:
    """Return whether somebody listens on a unix socket; ZeroMQ would only wait."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(within_s)
        return probe.connect_ex(str(path)) == 0


def _choose(data: Path) -> Path:
    if named := os.environ.get(VARIABLE):
        return Path(named)
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    return base / f"her2sr-{os.getuid()}" / digest


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ConfigError(
            f"the runtime folder {folder} belongs to another user; remove it or set "
            f"{VARIABLE} to a folder of your own",
            path=str(folder),
        )
    folder.chmod(0o700)
