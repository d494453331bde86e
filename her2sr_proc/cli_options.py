"""What verbs of this package share: options of one name and meaning, exit codes."""

from __future__ import annotations

from typing import Annotated

import typer

EXITS = (
    "Exit codes: 0 done, 1 a fault in the work, 2 a wrong request, such as a file that "
    "is not there or not what it should be."
)
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=256, help="threads")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Expected = Annotated[
    int | None,
    typer.Option(
        "--expect-frames", min=1, help="refuse a movie that has more or fewer"
    ),
]
Scrub = Annotated[
    bool,
    typer.Option(
        "--scrub",
        help="write scale and interval alone: no names, dates, labels, OME metadata",
    ),
]
