"""What `her2sr denoise` does: files opened, work called, lines printed."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import typer
from pydantic import ValidationError

from her2sr_proc.cli_progress import begin, showing
from her2sr_proc.denoise.fiji import import_fiji
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import Model, read_model, write_model
from her2sr_proc.denoise.short import ShortError, error_of, shortened
from her2sr_proc.errors import RequestError
from her2sr_proc.offline.denoise import (
    CleanOrder,
    Judged,
    Pixels,
    clean,
    judge,
    record_of,
    sample,
)
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.denoise import PAPER_TRAIN, UNSTATED, NetworkForm, TrainParams
from her2sr_proc.store.atomic import require_writable
from her2sr_proc.store.frames import FrameSource, open_movie

MOST_THREADS = 4
"""Unless asked for: each holds 0.4 GB."""
LONG_S = 120
"""From here on a duration is told in minutes."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """The command line of `her2sr denoise train`, as typed."""

    movies: tuple[Path, ...]
    out: Path
    params: TrainParams
    checkpoint: Path
    licence: str | None
    threads: int


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """The command line of `her2sr denoise apply`, as typed."""

    movie: Path
    model: Path
    out: Path
    pixels: Pixels
    is_short: bool
    tile_px: int
    threads: int


def threads(asked: int | None) -> int:
    """Return how many threads to use: what was asked for, or all up to four."""
    return asked or min(len(os.sched_getaffinity(0)), MOST_THREADS)


def params_of(
    profile: Literal["standard", "paper"],
    method: Literal["n2v", "n2v2"],
    given: dict[str, object],
) -> TrainParams:
    """Return a profile's settings with those that were given.

    Raises `RequestError` for one that is out of its range.
    """
    base = PAPER_TRAIN if profile == "paper" else TrainParams()
    form = NetworkForm(method=method)
    changes = {name: value for name, value in given.items() if value is not None}
    if method == "n2v2":
        changes.setdefault("loss", "mae")  # as its authors
    try:
        return TrainParams.model_validate(
            {**base.model_dump(), **changes, "form": form.model_dump()}
        )
    except ValidationError as exc:
        first = exc.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise RequestError(f"{option}: {first['msg']}") from exc


def train(request: TrainRequest, *, as_json: bool) -> None:
    """Train, and say how well held-out pixels are guessed."""
    begin()
    _require_zip(request.out)
    try:
        from her2sr_proc.offline import denoise_training as training
    except ImportError as exc:
        if (exc.name or "").split(".")[0] != "torch":
            raise
        raise RequestError(
            "training needs PyTorch, which is not installed; install it with: "
            "pip install 'her2sr[train]'"
        ) from exc
    order = training.TrainOrder(
        request.params,
        request.out,
        request.checkpoint,
        request.licence or UNSTATED,
        request.threads,
    )
    with ExitStack() as opened:
        movies = [
            opened.enter_context(closing(open_movie(path))) for path in request.movies
        ]
        with showing("steps") as tell:
            done = training.train(
                movies,
                order,
                progress=_foretelling(tell),
                now=lambda: datetime.now(UTC),
            )
    facts = done.card.training
    said = {
        "model": str(request.out),
        "steps": facts["steps_done"],
        "resumed_at_step": done.resumed_at,
        "epochs": facts["epochs_done"],
        "best_epoch": facts["best_epoch"],
        "held_out_loss": [round(loss, 6) for loss in done.history],
        **done.card.normalization.model_dump(),
        "weights_sha256": done.card.weights_sha256,
    }
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(
        f"{said['steps']} steps, {said['epochs']} epochs; loss on held-out pixels "
        f"{done.history[0]:.4f} after the first, {min(done.history):.4f} after epoch "
        f"{said['best_epoch']}, which is kept"
    )
    typer.echo(f"wrote {request.out}")


def apply(request: ApplyRequest, *, as_json: bool) -> None:
    """Write the cleaned movie, and say what was done."""
    begin()
    _require_tiff(request)
    model = read_model(request.model)
    denoiser = Denoiser(model.card, model.onnx, tile_px=request.tile_px)
    with closing(open_movie(request.movie)) as movie:
        denoiser.require_room(movie.shape[1:])
        short: ShortError | None = None
        if request.is_short:
            denoiser, short = _shortened(movie, model, denoiser, request.tile_px)
        judged = judge(movie, denoiser, time.perf_counter)
        _announce(movie, judged, request.threads)
        facts = record_of(model.card, judged) | _precision(short)
        began = time.monotonic()
        with showing("frames") as tell:
            done = clean(
                movie,
                denoiser,
                CleanOrder(request.out, request.pixels, request.threads, facts),
                progress=tell,
            )
        wall_s = time.monotonic() - began
    said = {
        **facts,
        "out": str(request.out),
        "frames": done.frames,
        "clipped_pixels": done.clipped,
        "wall_s": round(wall_s, 2),
        "flags": list(judged.flags),
    }
    _tell_applied(said, judged, short, as_json=as_json)


def import_fiji_model(path: Path, out: Path, licence: str | None) -> dict[str, Any]:
    """Write a Fiji model in our form; return what is to be said of it."""
    begin()
    _require_zip(out)
    model, apart = import_fiji(path)
    if licence is not None:
        card = model.card.model_copy(update={"licence": licence[:100]})
        model = Model(card, model.onnx, model.test_in, model.test_out)
    write_model(out, model, at=datetime.now(UTC))
    return {
        "model": str(out),
        "differs_from_sample_adu": apart,
        **model.card.normalization.model_dump(),
        "weights_sha256": model.card.weights_sha256,
        "licence": model.card.licence,
    }


def _shortened(
    movie: FrameSource, model: Model, full: Denoiser, tile_px: int
) -> tuple[Denoiser, ShortError]:
    """Return the 8-bit network: scales from every second frame, error from others."""
    typer.echo("8-bit integers: scales are taken from the movie", err=True)
    frames = list(sample(movie))
    onnx = shortened(model.card, model.onnx, frames[::2])
    short = Denoiser(model.card, onnx, tile_px=tile_px)
    return short, error_of(full, short, frames[1::4] or frames[:1])


def _precision(short: ShortError | None) -> dict[str, Any]:
    if short is None:
        return {"precision": "fp32"}
    return {
        "precision": "int8",
        "int8_rms_error_adu": round(short.rms_adu, 3),
        "int8_largest_error_adu": round(short.largest_adu, 3),
        "int8_error_of_removed": round(short.share_of_removed, 4),
    }


def _announce(movie: FrameSource, judged: Judged, jobs: int) -> None:
    frames, height, width = movie.shape
    seconds = frames * judged.seconds_per_frame / jobs
    typer.echo(
        f"{frames} frames of {height} x {width} px at {judged.seconds_per_frame:.2f} s "
        f"each on one thread: {_duration(seconds)} on {jobs}",
        err=True,
    )
    for flag in judged.flags:
        typer.echo(f"flag: {flag}", err=True)


def _duration(seconds: float) -> str:
    if seconds >= LONG_S:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {max(seconds, 1):.0f} s"


def _foretelling(tell: Any) -> Any:  # noqa: ANN401 - two functions of one form
    """Return ``tell``, which after a few steps also says how long all will take."""
    seen: list[tuple[int, float]] = []

    def told(done: int, total: int) -> None:
        tell(done, total)
        if len(seen) < 2 and (not seen or done >= seen[0][0] + 5):
            seen.append((done, time.monotonic()))
            if len(seen) == 2:
                (first, began), (last, ended) = seen
                left = (total - done) * (ended - began) / (last - first)
                typer.echo(f"{total} steps: {_duration(left)} more", err=True)

    return told


def _tell_applied(
    said: dict[str, Any], judged: Judged, short: ShortError | None, *, as_json: bool
) -> None:
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    typer.echo(
        f"{said['frames']} frames in {said['wall_s']} s; what was taken off has a "
        f"deviation of {judged.removed_sd_adu:.1f} ADU, the movie "
        f"{judged.sd_adu:.1f} ADU"
    )
    if short is not None:
        typer.echo(
            f"8-bit integers: off by {short.rms_adu:.2f} ADU rms "
            f"({100 * short.share_of_removed:.1f} % of what was taken off), "
            f"{short.largest_adu:.0f} at most; for looking, not for results"
        )
    if said["clipped_pixels"]:
        typer.echo(f"flag: {said['clipped_pixels']} pixels did not fit uint16")
    typer.echo(f"flag: {said['warning']}")
    typer.echo(f"wrote {said['out']}")


def _require_zip(out: Path) -> None:
    if out.suffix.lower() != ".zip":
        raise RequestError(f"a model is a .zip file; {out.name} is not")
    require_writable(out)


def _require_tiff(request: ApplyRequest) -> None:
    out = request.out
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise RequestError(f"a cleaned movie is a .tif file; {out.name} is not")
    same = out.exists() and request.movie.exists() and out.samefile(request.movie)
    if same:
        raise RequestError(f"{out} is the movie itself; choose another --out")
    require_writable(out)
