"""The verb `her2sr nuclei`: labels of an image, found or taken over, and judged.

Heavy imports stand inside, so that `her2sr --help` stays quick.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from her2sr_proc.cli_options import EXITS, AsJson
from her2sr_proc.schema.banner import BANNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from her2sr_proc.nuclei import Nucleus
    from her2sr_proc.segmentation.choice import Segmentation

    F32 = npt.NDArray[np.float32]

BLOCK_FRAMES = 50
COLUMNS = (
    *("label", "y_px", "x_px", "area_um2", "solidity", "edge", "focus", "overlap"),
    *("quality", "exclusion_reason"),
)


def register(app: typer.Typer) -> None:
    """Mount this module's verb into the one command."""
    app.command("nuclei", epilog=EXITS)(nuclei)


def nuclei(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="DAPI: an image, or a movie to average"),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="LABELS.tif, .zip (ImageJ) or .geojson (QuPath)"),
    ],
    pixel_nm: Annotated[
        float | None,
        typer.Option(
            "--pixel-nm",
            min=1,
            max=10_000,
            help="in the sample; default: the size of nuclei is measured in the image "
            "and taken as usual",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="network, classical or plugin:NAME")
    ] = "network",
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", help="take these over instead: .tif, .zip or .geojson"
        ),
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="NUCLEI.csv: what was measured")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the nuclei of an averaged DAPI image, judge and write them.

    Example: her2sr nuclei dapi.tif --out labels.tif --pixel-nm 130 --table nuclei.csv
    """
    from pydantic import ValidationError

    from her2sr_proc.errors import RequestError
    from her2sr_proc.nuclei import describe
    from her2sr_proc.schema.count_params import NucleiParams
    from her2sr_proc.store.atomic import require_writable, telling
    from her2sr_proc.store.regions import require_suffix, write_labels

    typer.echo(BANNER, err=True)
    require_suffix(out)
    require_writable(out)
    try:
        params = NucleiParams(method=method)
    except ValidationError as exc:
        raise RequestError(
            f"--method {method} is not known; use network, classical or plugin:NAME"
        ) from exc
    dapi = _mean(image)
    pixel_um, was_measured = (
        (pixel_nm / 1000.0, False) if pixel_nm else (_usual(dapi, params), True)
    )
    found = _found(dapi, labels, pixel_um, params)
    judged = describe(found.labels, dapi, pixel_um=pixel_um, params=params)
    with telling(out):
        write_labels(out, found.labels, pixel_nm=1000.0 * pixel_um)
    if table is not None:
        with telling(table):
            _write_table(table, judged)
    reasons = Counter(r.value for n in judged for r in n.exclusions)
    said = {
        "nuclei": len(judged),
        "scorable": sum(not n.exclusions for n in judged),
        "excluded": dict(reasons.most_common()),
        "method": found.method,
        "fallback_reason": found.fallback_reason,
        "pixel_nm": round(1000.0 * pixel_um, 2),
        "pixel_was_measured": was_measured,
        "labels": str(out),
        "banner": BANNER,
    }
    _tell(said, as_json=as_json)


def _tell(said: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(said))
        return
    typer.echo(
        f"{said['nuclei']} nuclei, {said['scorable']} scorable, {said['method']}"
    )
    if said["fallback_reason"]:
        typer.echo(f"flag: not by the network: {said['fallback_reason']}")
    if said["pixel_was_measured"]:
        typer.echo(
            f"flag: no --pixel-nm: a pixel was taken as {said['pixel_nm']} nm, as if "
            f"nuclei were of the usual size"
        )
    reasons = said["excluded"]
    assert isinstance(reasons, dict)
    for reason, number in reasons.items():
        typer.echo(f"  {number} {reason}")
    typer.echo(f"wrote {said['labels']}")


def _found(
    dapi: F32, labels: Path | None, pixel_um: float, params: object
) -> Segmentation:
    """Return the labels of a file, or those that the method finds."""
    from her2sr_proc.schema.count_params import NucleiParams
    from her2sr_proc.segmentation.choice import Segmentation, segment
    from her2sr_proc.store.regions import read_labels

    assert isinstance(params, NucleiParams)
    if labels is None:
        return segment(dapi, pixel_um=pixel_um, params=params)
    taken = read_labels(labels, (dapi.shape[0], dapi.shape[1]))
    return Segmentation(taken, f"labels of {labels.name}")


def _usual(dapi: F32, params: object) -> float:
    """Return the width of a pixel at which the nuclei would be of the usual size."""
    from her2sr_proc.errors import NetworkError
    from her2sr_proc.schema.count_params import NucleiParams
    from her2sr_proc.segmentation.instances import measured_diameter_px
    from her2sr_proc.segmentation.network import Network

    assert isinstance(params, NucleiParams)
    try:
        diameter_px = measured_diameter_px(dapi, Network())
    except NetworkError as exc:
        raise NetworkError(
            f"the size of nuclei cannot be measured ({exc}); give --pixel-nm"
        ) from exc
    return 2.0 * params.typical_radius_um / diameter_px


def _mean(path: Path) -> F32:
    """Return an image, or the mean of the frames of a movie."""
    import numpy as np

    from her2sr_proc.errors import DataError
    from her2sr_proc.store.frames import open_movie
    from her2sr_proc.store.images import read_tiff
    from her2sr_proc.store.regions import TIFF_SUFFIXES

    if path.suffix.lower() in TIFF_SUFFIXES:
        try:
            return np.asarray(read_tiff(path), np.float32)
        except DataError:  # more than one plane, or nothing: the movie reader says
            pass
    movie = open_movie(path)
    try:
        frames = movie.shape[0]
        total = np.zeros(movie.shape[1:], np.float64)
        for start in range(0, frames, BLOCK_FRAMES):
            block = movie.read(start, min(frames, start + BLOCK_FRAMES))
            total += block.sum(0, dtype=np.float64)
    finally:
        movie.close()
    return np.asarray(total / max(frames, 1), np.float32)


def _write_table(path: Path, judged: Sequence[Nucleus]) -> None:
    import csv
    import io

    from her2sr_proc.store.atomic import write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for nucleus in judged:
        cells = [getattr(nucleus, name) for name in COLUMNS]
        writer.writerow([f"{c:.4f}" if isinstance(c, float) else c for c in cells])
    write_text(path, text.getvalue())
