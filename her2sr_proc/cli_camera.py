"""What a movie's camera is, as options that verbs on movies share."""

from __future__ import annotations

from typing import Annotated

import typer

PixelNm = Annotated[
    float, typer.Option("--pixel-nm", min=1, max=10_000, help="in the sample")
]
OffsetAdu = Annotated[
    float, typer.Option("--offset-adu", min=0, max=65535, help="counts in the dark")
]
EPerAdu = Annotated[
    float, typer.Option("--e-per-adu", min=1e-6, max=1000, help="electrons a count")
]
ReadNoiseE = Annotated[
    float, typer.Option("--read-noise-e", min=0, max=1000, help="rms, electrons")
]
