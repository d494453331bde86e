"""What the verbs that turn a movie into a movie share: open, stream, write, tell."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import typer

from her2sr_proc.cli_progress import showing
from her2sr_proc.errors import MovieError
from her2sr_proc.offline.stacks import Spent, Step, stream
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.frames import FrameSource, open_movie
from her2sr_proc.store.stack import require_stack, write_stack
from her2sr_proc.store.stack_facts import StackFacts
from her2sr_proc.store.stack_reader import read_facts


def open_stack(movie: Path, out: Path, *, expected: int | None) -> FrameSource:
    """Return a movie of counts or values, once its result can be written.

    Raises `RequestError` or `MovieError`.
    """
    require_stack(out, movie)
    frames = open_movie(movie, floats=True)
    try:
        require_frames(movie, frames.shape[0], expected)
    except MovieError:
        frames.close()
        raise
    return frames


def require_frames(movie: Path, count: int, expected: int | None) -> None:
    """Raise `MovieError` when a movie has not as many frames as were announced."""
    if expected is not None and count != expected:
        raise MovieError(
            f"{movie} has {count} frames, not the {expected} that --expect-frames "
            f"announces; copy or export it again, or leave the option out",
            path=str(movie),
        )


@dataclass(frozen=True, slots=True)
class Stack:
    """A movie that becomes another one."""

    movie: Path
    out: Path
    jobs: int = 1
    is_scrubbed: bool = False
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False)

    def facts(self) -> StackFacts:
        """Return what the movie's file says beside its pixels, as far as it is kept."""
        facts = read_facts(self.movie)
        return facts.scrubbed() if self.is_scrubbed else facts

    def write(self, frames: FrameSource, step: Step, note: str) -> dict[str, object]:
        """Write the movie after a step; return what there is to tell of it."""
        return self.write_as(frames, step, self.facts().noted(note))

    def write_as(
        self, frames: FrameSource, step: Step, facts: StackFacts
    ) -> dict[str, object]:
        """Write the movie after a step, with facts of the frames that are written."""
        spent = Spent()
        begun = self.clock()
        with showing("frames") as progress:
            blocks = stream(
                frames, step, jobs=self.jobs, progress=progress, spent=spent
            )
            write_stack(self.out, blocks, frames.shape, facts, dtype=frames.dtype)
        wall_s = self.clock() - begun
        count = frames.shape[0]
        return {
            "movie": str(self.movie),
            "out": str(self.out),
            "frames": count,
            "height_px": frames.shape[1],
            "width_px": frames.shape[2],
            "dtype": frames.dtype.name,
            "pixel_um": facts.pixel_um,
            "interval_s": facts.interval_s,
            "input_s": round(spent.input_s, 3),
            "work_cpu_s": round(spent.work_s, 3),
            "work_cpu_ms_per_frame": round(1000 * spent.work_s / count, 3),
            "wall_s": round(wall_s, 3),
            "frames_per_s": round(count / wall_s, 1) if wall_s > 0 else 0.0,
            "jobs": self.jobs,
        }


def tell(said: dict[str, object], *, as_json: bool) -> None:
    """Print what was done: one JSON object, or two lines."""
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(
        f"{said['frames']} frames of {said['height_px']} x {said['width_px']} px in "
        f"{said['wall_s']} s: {said['frames_per_s']} frames/s, "
        f"{said['work_cpu_ms_per_frame']} ms of one processor each"
    )
    typer.echo(f"wrote {said['out']}")
