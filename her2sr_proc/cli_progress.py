"""How far a verb is: a bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from her2sr_proc.schema.banner import BANNER

PARTS = 10
"""Plain lines a verb prints, at most."""


def begin() -> None:
    """Say what every verb says first, and keep libraries quiet."""
    typer.echo(BANNER, err=True)
    # tifffile logs every oddity of a file; what matters is raised in one sentence.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())


@contextmanager
def showing(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with what is done and what there is in all."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Callable[[int, int], None]:
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        part = PARTS * done // max(total, 1)
        if part > told:
            told = part
            typer.echo(f"{what}: {done} of {total}", err=True)

    return tell
