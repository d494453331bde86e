"""The verbs ``her2sr backup | restore``: the databases of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from her2sr_acq.cli_manners import EXITS, Data


def register(app: typer.Typer) -> None:
    """Add ``backup`` and ``restore``."""
    for verb in (backup, restore):
        app.command(epilog=EXITS)(verb)


def backup(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="a folder to make")],
) -> None:
    """Copy the databases of a data folder, while the service runs too.

    Run folders are not in it: they are the data itself, and `her2sr offload` copies
    them. A database that is lost without a backup is rebuilt from them.

    Example: her2sr backup --data data --out /mnt/share/backup-20260101
    """
    from her2sr_acq.verbs.backup import backup as copy

    for name in copy(data, out):
        typer.echo(f"{name}: copied and checked")


def restore(
    data: Data,
    source: Annotated[Path, typer.Option("--from", help="a folder of a backup")],
) -> None:
    """Put the databases of a backup back; what stands there is set aside.

    Example: her2sr restore --data data --from /mnt/share/backup-20260101
    """
    from her2sr_acq.verbs.restore import restore as put_back

    for line in put_back(data, source):
        typer.echo(line)
