"""What `her2sr threshold apply` does: a cleaned movie in, what is above it out."""

from __future__ import annotations

import math
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import typer

from her2sr_proc.cli_progress import begin
from her2sr_proc.cli_stack import Stack, open_stack, tell
from her2sr_proc.errors import RequestError
from her2sr_proc.schema.threshold import (
    PAPER_K,
    Mode,
    SigmaThreshold,
    ThresholdModel,
)
from her2sr_proc.store.thresholds import read_model
from her2sr_proc.threshold import ANY, Frames, Left, Threshold, formula_of
from her2sr_proc.threshold import apply as apply_to


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """The command line of `her2sr threshold apply`, as typed."""

    movie: Path
    out: Path
    model: Path | None
    k: float | None
    mode: Mode
    channel: str | None
    jobs: int
    expected: int | None
    is_scrubbed: bool


def apply(request: ApplyRequest, *, as_json: bool) -> None:
    """Write a movie of what is above the thresholds; flag one of which nothing is."""
    begin()
    model, digest = _model_of(request)
    threshold = Threshold(model, channel=request.channel)
    parts: deque[Left] = deque()

    def step(frames: Frames, first: int) -> Frames:
        kept, left = apply_to(frames, threshold, mode=request.mode, first_frame=first)
        parts.append(left)
        return kept

    stack = Stack(request.movie, request.out, request.jobs, request.is_scrubbed)
    note = f"threshold {formula_of(model)}, {request.mode}"
    with closing(
        open_stack(request.movie, request.out, expected=request.expected)
    ) as movie:
        said = stack.write(movie, step, note)
    left = Left()
    for part in parts:
        left.add(part)
    said |= {
        "model": model.model_dump(mode="json"),
        "model_digest": digest,
        "mode": request.mode,
        "lowest_threshold_adu": left.lowest_adu,
        "highest_threshold_adu": left.highest_adu,
        "pixels_kept": left.pixels,
        "frames_without_pixels": left.empty_frames,
        "flags": ["nothing_left"] if left.is_empty else [],
    }
    tell(said, as_json=as_json)
    if left.is_empty and not as_json:
        typer.echo(
            "nothing is above the thresholds: the movie is whole, and empty; choose a "
            "lower threshold, or check that this is the right movie"
        )


def _model_of(request: ApplyRequest) -> tuple[ThresholdModel, str]:
    """Return the model of a file, of --k or of the channel, and the file's digest."""
    if request.model is not None:
        if request.k is not None:
            raise RequestError("--model and --k are two thresholds; give one of them")
        file = read_model(request.model)
        return file.model, file.digest
    k = request.k
    if k is None:
        if request.channel is None or request.channel not in PAPER_K:
            raise RequestError(
                f"say which threshold: --model MODEL.json, --k 4.84, or --channel "
                f"{' or '.join(PAPER_K)} for the paper's own k"
            )
        k = PAPER_K[request.channel]
    if not (math.isfinite(k) and 0 < k <= 1000):
        raise RequestError(f"--k {k:g} is no threshold; give a number above 0, to 1000")
    return SigmaThreshold(k_by_channel={ANY: k}), ""
