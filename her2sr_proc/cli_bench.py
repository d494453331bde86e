"""The verb `bench`: how fast this machine localizes, beside a peer where asked."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc import benchmark


def register(app: typer.Typer) -> typer.Typer:
    """Mount this module's verb; return it, so that others hang theirs below."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback(invoke_without_command=True, epilog=EXITS)(bench)
    app.add_typer(group, name="bench")
    return group


def bench(
    context: typer.Context,
    size: Annotated[
        int, typer.Option("--size", min=32, max=8192, help="pixels of a side")
    ] = 2048,
    emitters: Annotated[
        int, typer.Option("--emitters", min=0, max=1_000_000, help="of every frame")
    ] = 2000,
    frames: Annotated[
        int, typer.Option("--frames", min=1, max=1_000_000, help="localized in all")
    ] = 60,
    sigma_px: Annotated[
        float, typer.Option("--sigma-px", min=0.4, max=5, help="width of a spot")
    ] = 1.3,
    kind: Annotated[
        Literal["single", "multi"],
        typer.Option("--kind", help="multi: overlapping spots are fitted together"),
    ] = "single",
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, max=256, help="threads; default: all cores"),
    ] = None,
    against: Annotated[
        Literal["picasso"] | None,
        typer.Option("--against", help="localize the same movie with a peer, too"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
    as_json: AsJson = False,
) -> None:
    """Tell how fast this machine localizes a movie of spots at random places.

    Example: her2sr bench --size 512 --emitters 66 --frames 500 --jobs 1
    """
    if context.invoked_subcommand is not None:
        return
    from her2sr_proc import benchmark
    from her2sr_proc.errors import RequestError
    from her2sr_proc.schema.params import LocalizeParams

    typer.echo(BANNER, err=True)
    if emitters > size * size / 20:
        raise RequestError(
            f"{emitters} spots do not stand apart on {size} x {size} pixels; ask for "
            f"at most {size * size // 20}"
        )
    movie = benchmark.make_movie(size, emitters, sigma_px, seed)
    ours = benchmark.measure(
        movie,
        emitters=emitters,
        frames=frames,
        threads=jobs or os.cpu_count() or 1,
        params=LocalizeParams(sigma_px=sigma_px, emitters=kind),
    )
    said: dict[str, object] = dataclasses.asdict(ours)
    said["share_of_bound"] = ours.share_of_bound
    if not as_json:
        _tell(ours)
    if against is not None:
        try:
            peer = benchmark.measure_picasso(
                movie, frames=frames, say=lambda word: typer.echo(word, err=True)
            )
        except ImportError as exc:
            raise RequestError(
                "picasso is not installed; install it with "
                "`pip install 'her2sr[bench]'`"
            ) from exc
        said["peer"] = dataclasses.asdict(peer)
        said["times_the_peer"] = ours.frames_per_s / peer.frames_per_s
        if not as_json:
            _tell_peer(peer, ours.frames_per_s / peer.frames_per_s)
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))


def _tell(speed: benchmark.Speed) -> None:
    kind = "crowds fitted together" if speed.multi else "one by one"
    typer.echo(
        f"{speed.machine}; {speed.threads} threads; {speed.frames} frames of "
        f"{speed.side_px} x {speed.side_px} px, {speed.emitters} spots each, {kind}"
    )
    typer.echo(
        f"{speed.frames_per_s:.1f} frames/s, {speed.localizations_per_s:.0f} "
        f"localizations/s; {100 * speed.share_of_bound:.1f} % of what reading the "
        f"frames from memory allows ({speed.bound_frames_per_s:.0f} frames/s)"
    )
    typer.echo(
        f"a frame, one thread: input {1e3 * speed.input_s:.2f} ms, "
        f"detection {1e3 * speed.detection_s:.2f} ms, fit {1e3 * speed.fit_s:.2f} ms, "
        f"selection and crowds {1e3 * speed.crowd_s:.2f} ms"
    )
    typer.echo(f"peak memory {speed.peak_memory_mb:.0f} MB")


def _tell_peer(peer: benchmark.PeerSpeed, times: float) -> None:
    typer.echo(
        f"{peer.name} ({peer.settings}): {peer.frames_per_s:.1f} frames/s, "
        f"{peer.localizations_per_s:.0f} localizations/s; a frame: identify "
        f"{1e3 * peer.identify_s:.2f} ms, fit {1e3 * peer.fit_s:.2f} ms"
    )
    typer.echo(f"her2sr is {times:.1f} times as fast on the same movie")
