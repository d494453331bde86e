"""How every verb of this package asks, refuses and tells its exit codes."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from her2sr_acq.engine.views import RunView

EXITS = (
    "Exit codes: 0 done, 1 a fault in the work, 2 a wrong request, 3 unsafe or "
    "interlocked."
)
Config = Annotated[
    str, typer.Option("--config", help="device configuration: a packaged name or path")
]


def act_as_owner(data: Path) -> Path:
    """Give root's rights up for those of a data folder's owner; return the folder.

    What root wrote there the service could not open, and the sockets of a service are
    its user's alone. For anybody but root nothing changes, nor where the owner cannot
    read this program: then putting the light out goes first.
    """
    if os.geteuid() != 0 or not data.is_dir():
        return data
    uid, gid = data.stat().st_uid, data.stat().st_gid
    if uid == 0 or not _can_read_us(uid, gid):
        return data
    try:
        owner = pwd.getpwuid(uid)
    except KeyError:  # a user without a name, as a container may have
        os.setgroups([gid])
    else:
        os.initgroups(owner.pw_name, gid)
        os.environ["HOME"] = owner.pw_dir
    os.setgid(gid)
    os.setuid(uid)
    return data


def _can_read_us(uid: int, gid: int) -> bool:
    """Whether somebody could go on with this program; asked by root."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        parts = __file__, os.__file__
        return all(os.access(part, os.R_OK, effective_ids=True) for part in parts)
    finally:
        os.seteuid(0)
        os.setegid(0)


FOLDER = "folder that holds the runs"
Data = Annotated[Path, typer.Option("--data", help=FOLDER)]
OwnData = Annotated[Path, typer.Option("--data", help=FOLDER, callback=act_as_owner)]
"""Where root acts as the folder's owner."""
By = Annotated[str, typer.Option(help="who does it: a pseudonym")]
Reason = Annotated[str, typer.Option(help="why; it stands in the audit")]
AsJson = Annotated[
    bool, typer.Option("--json", help="print the result as JSON on standard output")
]


def refuse(message: str, code: int) -> int:
    """Print why a verb did not do its work; return the exit code it ends with."""
    if message:
        typer.echo(f"error: {message}", err=True)
    return code


def complaint(view: RunView) -> str:
    """Return why a run is not what was asked for."""
    state = view.state.replace("_", " ")
    return f"run {view.id} is {state}: {view.reason or 'frames are missing'}"
