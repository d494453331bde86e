"""How every verb of this package asks, refuses and tells its exit codes."""

from __future__ import annotations

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
Data = Annotated[Path, typer.Option("--data", help="folder that holds the runs")]
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
