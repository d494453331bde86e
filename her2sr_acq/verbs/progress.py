"""How a run goes on: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from her2sr_acq.engine.views import RunView

LINE_SHARE = 0.1
"""A plain line is written for every tenth of the frames, and when the phase changes."""


class Show(Protocol):
    """Where progress is told."""

    def update(self, view: RunView) -> None:
        """Tell how a run stands."""
        ...

    def say(self, text: str) -> None:
        """Tell one sentence."""
        ...


class Bar:
    """A progress bar on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def update(self, view: RunView) -> None:
        """Move the bar."""
        self._progress.update(
            self._task,
            description=f"{view.phase} {view.reason or view.current}".strip(),
            completed=view.frames_done,
            total=view.frames_requested,
        )

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._progress.console.print(text, highlight=False)


class Lines:
    """One plain line for every tenth of the way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: tuple[int, str] | None = None

    def update(self, view: RunView) -> None:
        """Write a line if there is something new to say."""
        share = view.frames_done / max(1, view.frames_requested)
        phase = view.phase.split(",")[0] + view.reason
        news = (int(share / LINE_SHARE), phase)
        if news != self._told:
            self._told = news
            where = f" {view.current}" if view.current else ""
            self.say(
                f"{view.state}: {view.phase}{where}, {view.frames_done} of "
                f"{view.frames_requested} frames ({int(100 * share)} %)"
                + (f"; {view.reason}" if view.reason else "")
            )

    def say(self, text: str) -> None:
        """Write a line."""
        self._stream.write(text + "\n")
        self._stream.flush()


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Show]:
    """Yield where to tell progress; results go elsewhere, to standard output."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Lines(stream)
        return
    progress = Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(file=stream),
    )
    with progress:
        yield Bar(progress)
