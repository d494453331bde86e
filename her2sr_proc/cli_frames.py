"""The verbs `her2sr frames split | combine | keep`: stacks apart, together, in part.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2sr_proc.cli_options import EXITS, AsJson, Expected, Scrub
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from her2sr_proc.store.frames import FrameSource

HELP = """Take movies apart, put them together, keep some of their frames.

Frames are numbered from 1, as slices in ImageJ; names are taken in natural order, 10
after 9.

Example: her2sr frames keep movie.tif --first 300 --out later.tif
"""
Movie = Annotated[
    Path, typer.Argument(metavar="MOVIE", help="as for localize; floats too")
]
Out = Annotated[Path, typer.Option("--out", help="OUT.tif, or OUT.ome.tif")]


def register(app: typer.Typer) -> None:
    """Mount this module's verbs into the one command."""
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    for verb in (split, combine, keep):
        group.command(epilog=EXITS)(verb)
    app.add_typer(group, name="frames")


def keep(
    movie: Movie,
    out: Out,
    first: Annotated[int, typer.Option("--first", help="frame kept, from 1")] = 1,
    last: Annotated[
        int | None, typer.Option("--last", help="frame kept; default: the last")
    ] = None,
    increment: Annotated[
        int, typer.Option("--increment", help="every n-th of them")
    ] = 1,
    expect_frames: Expected = None,
    scrub: Scrub = False,
    as_json: AsJson = False,
) -> None:
    """Keep frames from first to last, both, in steps: ImageJ's Slice Keeper.

    Example: her2sr frames keep movie.tif --first 11 --last 5000 --out kept.tif
    """
    from contextlib import closing

    from her2sr_proc.cli_progress import begin
    from her2sr_proc.cli_stack import Stack, open_stack, tell
    from her2sr_proc.offline.stacks import unchanged
    from her2sr_proc.store.views import KeptFrames, kept_range

    begin()
    with closing(open_stack(movie, out, expected=expect_frames)) as frames:
        kept = kept_range(first, last, increment, frames.shape[0])
        stack = Stack(movie, out, is_scrubbed=scrub)
        facts = stack.facts().of(kept).noted(_note(kept))
        said = stack.write_as(KeptFrames(frames, kept), unchanged, facts)
    said |= {"first": kept[0] + 1, "last": kept[-1] + 1, "increment": increment}
    tell(said, as_json=as_json)


def combine(
    movies: Annotated[
        list[Path],
        typer.Argument(metavar="MOVIE...", help="movies, or one folder of frames"),
    ],
    out: Out,
    as_given: Annotated[
        bool,
        typer.Option("--as-given", help="in the order of the command line, not names"),
    ] = False,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="numbers may be missing in the names")
    ] = False,
    expect_frames: Expected = None,
    scrub: Scrub = False,
    as_json: AsJson = False,
) -> None:
    """Put movies one after another, or the frames of a folder, into one stack.

    Example: her2sr frames combine part_*.tif --out movie.tif
    """
    from contextlib import closing

    from her2sr_proc.cli_progress import begin
    from her2sr_proc.cli_stack import Stack, require_frames, tell
    from her2sr_proc.offline.stacks import unchanged
    from her2sr_proc.store.stack import require_stack
    from her2sr_proc.store.views import in_order

    begin()
    paths = list(movies) if as_given else in_order(movies)
    require_stack(out, *paths)
    if not allow_gaps:
        _require_no_gap(paths)
    with closing(_joined(paths)) as frames:
        require_frames(paths[0].parent, frames.shape[0], expect_frames)
        stack = Stack(paths[0], out, is_scrubbed=scrub)
        facts = stack.facts()
        if len(paths) > 1:  # what one file says of its frames is not of the others
            facts = facts.without_frames()
        said = stack.write_as(frames, unchanged, facts)
    tell(said | {"movies": [str(path) for path in paths]}, as_json=as_json)


def split(
    movie: Movie,
    out: Annotated[Path, typer.Option("--out", help="folder of one TIFF a frame")],
    expect_frames: Expected = None,
    scrub: Scrub = False,
    as_json: AsJson = False,
) -> None:
    """Write every frame as a file of its own, numbered from 1, as ImageJ does.

    Names are NAME-0001.tif and so on, with NAME of the movie; frame where scrubbed.

    Example: her2sr frames split movie.tif --out frames
    """
    import json
    from contextlib import closing

    from her2sr_proc.cli_progress import begin, showing
    from her2sr_proc.cli_stack import Stack, require_frames
    from her2sr_proc.offline.stacks import Spent, stream, unchanged
    from her2sr_proc.store.frames import open_movie
    from her2sr_proc.store.stack import require_new_folder, stem_of, write_frames

    begin()
    require_new_folder(out)
    with closing(open_movie(movie, floats=True)) as frames:
        require_frames(movie, frames.shape[0], expect_frames)
        facts = Stack(movie, out, is_scrubbed=scrub).facts()
        stem = "frame" if scrub else stem_of(movie)
        count = frames.shape[0]
        with showing("frames") as progress:
            blocks = stream(frames, unchanged, progress=progress, spent=Spent())
            write_frames(out, blocks, facts, stem=stem, count=count)
    said = {"movie": str(movie), "out": str(out), "frames": count, "stem": stem}
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(f"wrote {count} frames as {out}/{stem}-*.tif")


def _note(kept: range) -> str:
    step = f", every {kept.step}" if kept.step > 1 else ""
    return f"frames {kept[0] + 1} to {kept[-1] + 1}{step}"


def _joined(paths: list[Path]) -> FrameSource:
    from her2sr_proc.store.frames import open_movie
    from her2sr_proc.store.views import JoinedFrames

    if len(paths) == 1:
        return open_movie(paths[0], floats=True)
    return JoinedFrames(paths)


def _require_no_gap(paths: list[Path]) -> None:
    """Refuse names in which a number is left out: a frame may have been lost."""
    from her2sr_proc.errors import RequestError
    from her2sr_proc.store.tiff import frame_files
    from her2sr_proc.store.views import missing_number

    is_folder = len(paths) == 1 and paths[0].is_dir()
    names = [p.name for p in (frame_files(paths[0]) if is_folder else paths)]
    missing = missing_number(names)
    if missing is not None:
        raise RequestError(
            f"number {missing} is missing among {names[0]} to {names[-1]}; copy them "
            f"again, or say --allow-gaps"
        )
