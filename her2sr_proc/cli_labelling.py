"""What `her2sr threshold label | fit` do: frames to labels, labels to a model."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import typer
from matplotlib.figure import Figure

from her2sr_proc import threshold_fit
from her2sr_proc.cli_progress import begin, showing
from her2sr_proc.errors import RequestError
from her2sr_proc.report import plots
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.schema.threshold import Feature, ThresholdModel
from her2sr_proc.store.atomic import require_writable, telling, write_bytes
from her2sr_proc.store.cohort import read_thresholds
from her2sr_proc.store.frames import open_movie
from her2sr_proc.store.regions import read_labels
from her2sr_proc.store.thresholds import require_file, write_labels_csv, write_model
from her2sr_proc.threshold import ANY, formula_of
from her2sr_proc.threshold_labels import label_frame, off_nuclei, spread

FEATURES: dict[str, Feature] = {
    "mean": "mean_adu",
    "sd": "sd_adu",
    "minimum": "minimum_adu",
    "maximum": "maximum_adu",
}


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """The command line of `her2sr threshold label`, as typed."""

    movie: Path
    nuclei: Path
    out: Path
    rate: float
    count: int
    around: int
    margin_px: int
    channel: str | None


@dataclass(frozen=True, slots=True)
class FitRequest:
    """The command line of `her2sr threshold fit`, as typed."""

    labels: Path
    out: Path
    kind: Literal["linear", "sigma", "schedule"]
    features: str
    least_r2: float
    channel: str | None
    figure: Path | None


def label(request: LabelRequest, *, as_json: bool) -> None:
    """Write labels of frames spread over a movie."""
    begin()
    require_file(request.out, ".csv")
    rows = []
    with closing(open_movie(request.movie, floats=True)) as movie:
        nuclei = read_labels(request.nuclei, (movie.shape[1], movie.shape[2]))
        off = off_nuclei(nuclei, margin_px=request.margin_px)
        chosen = spread(request.count, movie.shape[0])
        around = min(request.around, movie.shape[0])
        with showing("labels") as progress:
            for done, frame in enumerate(chosen, 1):
                start = min(max(frame - around // 2, 0), movie.shape[0] - around)
                frames = movie.read(start, start + around)
                row = label_frame(frames, frame - start, start, off, rate=request.rate)
                rows.append(row.model_copy(update={"channel": request.channel or ""}))
                progress(done, len(chosen))
    write_labels_csv(request.out, rows)
    said = {
        "movie": str(request.movie),
        "labels": str(request.out),
        "rows": len(rows),
        "rate_per_frame": request.rate,
        "frames_judged_by": around,
        "off_nuclei_share": round(float(off.mean()), 4),
        "rows_of": [{"frame": r.frame, "threshold_adu": r.threshold_adu} for r in rows],
    }
    lines = [f"frame {r.frame}: {r.threshold_adu:.1f} ADU" for r in rows]
    _print(said, [*lines, f"wrote {request.out}"], as_json=as_json)


def fit(request: FitRequest, *, as_json: bool) -> None:
    """Write a model of labels, and its figure where asked for."""
    begin()
    require_file(request.out, ".json")
    form = _figure_form(request.figure)
    rows = threshold_fit.of_channel(read_thresholds(request.labels), request.channel)
    model, figure = _fitted(request, rows)
    digest = write_model(request.out, model, labels=request.labels)
    if request.figure is not None:
        with telling(request.figure):
            write_bytes(request.figure, plots.save(figure, form))
    said = {
        "model": str(request.out),
        "digest": digest,
        "rows": len(rows),
        **model.model_dump(mode="json"),
    }
    lines = [formula_of(model)]
    if getattr(model, "is_formula", False):
        lines.append(
            "the labels follow from their frames' figures without a rest: they were "
            "computed, and R² is no evidence that they are good ones"
        )
    _print(said, [*lines, f"wrote {request.out}"], as_json=as_json)


def _fitted(
    request: FitRequest, rows: list[ThresholdRow]
) -> tuple[ThresholdModel, Figure]:
    """Return the model that was asked for, and its figure."""
    if request.kind == "schedule":
        schedule = threshold_fit.fit_schedule(rows)
        frames = [anchor.frame for anchor in schedule.anchors]
        chosen = [anchor.threshold_adu for anchor in schedule.anchors]
        return schedule, plots.schedule_plot(frames, chosen)
    if request.kind == "sigma":
        sigma = threshold_fit.fit_sigma(rows)
        k_of = sigma.k_by_channel
        fitted = [r.mean_adu + k_of[r.channel or ANY] * r.sd_adu for r in rows]
        return sigma, plots.threshold_plot(rows, np.array(fitted))
    features = [_feature(word) for word in request.features.split(",")]
    if not {"mean_adu", "sd_adu"} <= set(features):
        raise RequestError("a line is of mean and sd at least: --features mean,sd")
    line, found = threshold_fit.fit_linear(
        rows, features=features, least_r_squared=request.least_r2
    )
    return line, plots.threshold_plot(rows, found.fitted_adu)


def _feature(word: str) -> Feature:
    try:
        return FEATURES[word.strip().removesuffix("_adu")]
    except KeyError:
        raise RequestError(
            f"--features knows no '{word.strip()}'; known are {', '.join(FEATURES)}"
        ) from None


def _figure_form(figure: Path | None) -> Literal["png", "svg"]:
    """Return the form of a figure's file, once it can be written."""
    if figure is None:
        return "png"
    require_writable(figure)
    suffix = figure.suffix.lower()
    if suffix == ".png":
        return "png"
    if suffix == ".svg":
        return "svg"
    raise RequestError(f"{figure.name} is no figure; end it in .png or .svg")


def _print(said: dict[str, object], lines: list[str], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**said, "banner": BANNER}))
        return
    for line in lines:
        typer.echo(line)
