"""What `her2sr process` prints: times by step, and what became of a movie."""

from __future__ import annotations

from collections.abc import Iterator

from her2sr_proc.schema.movie import MovieSummary
from her2sr_proc.schema.times import Times
from her2sr_proc.store.movie_folder import MovieFolder


def time_lines(times: Times) -> Iterator[str]:
    """Yield the time of every step in lines for a terminal."""
    yield f"{'step':14}{'times':>9}{'elapsed':>12}{'processor':>12}"
    for step in times.steps:
        yield (
            f"{step.step:14}{step.calls:>9}{step.elapsed_s:>10.2f} s"
            f"{step.cpu_s:>10.2f} s"
        )
    threads = "thread" if times.jobs == 1 else "threads"
    yield (
        f"{times.wall_s:.2f} s on the clock with {times.jobs} {threads}; steps are "
        f"summed over threads"
    )


def denoise_line(seconds_per_frame: float, frames: int, jobs: int | None) -> str:
    """Return how long cleaning frames will take; ``jobs`` None: of a cluster."""
    minutes = seconds_per_frame * frames / (jobs or 1) / 60.0
    long = f"{minutes:.0f} min" if minutes >= 1 else f"{60 * minutes:.0f} s"
    where = f"on {jobs}" if jobs else "of processors, shared by the workers"
    return (
        f"Noise2Void takes {seconds_per_frame:.2f} s a frame and thread: about "
        f"{long} for {frames} frames {where}"
    )


def movie_lines(found: MovieSummary, folder: MovieFolder) -> Iterator[str]:
    """Yield what became of a movie in lines for a terminal."""
    movie, after = found.order.movie, found.after_fit
    yield found.banner
    yield (
        f"{found.order.profile}: {movie.frames} frames of {movie.height_px} x "
        f"{movie.width_px} px, {found.localizations} localizations"
    )
    if after is not None:
        yield f"{after.linked} molecules after linking, {after.kept} of them kept"
    if found.frames_resumed:
        yield f"{found.frames_resumed} frames stood from an earlier call"
    yield from (f"flag: {flag}" for flag in found.flags)
    yield from time_lines(found.times)
    yield f"wrote {folder.root}"
