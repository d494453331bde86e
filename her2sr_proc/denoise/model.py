"""A denoising network with its card, as one file that others can read too.

A zip after the BioImage Model Zoo's format 0.5: ``rdf.yaml`` for any program that knows
it, with our card inside; the weights as ONNX; one patch before and after. Source:
https://github.com/bioimage-io/spec-bioimage-io, format 0.5.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import ValidationError

from her2sr_proc.errors import IntegrityError, ModelError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.denoise import UNSTATED, Card
from her2sr_proc.store.atomic import replacing, telling
from her2sr_proc.store.safe_zip import SafeZip

F32 = npt.NDArray[np.float32]

FORMAT = "0.5.4"
RDF, WEIGHTS, README = "rdf.yaml", "weights.onnx", "README.md"
TEST_IN, TEST_OUT = "test_input.npy", "test_output.npy"
_BAD_ARRAY = (
    EOFError,
    MemoryError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)
"""What NumPy stumbles into when an array's header is damaged: it parses Python."""
LONGEST_TEXT = 2**20
"""Bytes of a description: YAML of strangers is parsed."""
PAPERS = (
    ("Krull et al. 2019, Noise2Void", "10.1109/CVPR.2019.00223"),
    ("Höck et al. 2022, N2V2", "10.1007/978-3-031-25069-9_33"),
)


@dataclass(frozen=True, slots=True)
class Model:
    """What a model's file holds."""

    card: Card
    onnx: bytes
    test_in: F32
    """A patch in camera counts, shape (height, width)."""
    test_out: F32
    """What the network makes of it."""


def digest(data: bytes) -> str:
    """Return SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def write_model(path: Path, model: Model, *, at: datetime) -> None:
    """Write the file whole; ``at`` is the time that its description states."""
    parts = {
        WEIGHTS: model.onnx,
        TEST_IN: _npy(model.test_in),
        TEST_OUT: _npy(model.test_out),
        README: _readme(model.card).encode(),
    }
    described = yaml.safe_dump(
        _rdf(model.card, parts, at), sort_keys=False, allow_unicode=True
    )
    with (
        telling(path),
        replacing(path) as beside,
        zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        archive.writestr(RDF, described)
        for name, data in parts.items():
            archive.writestr(name, data)


def read_model(path: Path) -> Model:
    """Return what a file holds. Raises `ModelError` in one sentence."""
    if not path.is_file():
        raise ModelError(f"there is no model {path}; check the path", path=str(path))
    with SafeZip(path, path.name) as archive:
        if "model.yaml" in archive.members and RDF not in archive.members:
            raise ModelError(
                f"{path} is a model of Fiji; import it first: "
                f"her2sr denoise import {path.name} --out MODEL.zip"
            )
        card = _card(parsed(archive, RDF), path)
        weights = archive.read(WEIGHTS)
        if digest(weights) != card.weights_sha256:
            raise IntegrityError(
                f"the weights in {path} are not those of its card; copy the file again"
            )
        tests = [_array(archive, name) for name in (TEST_IN, TEST_OUT)]
    return Model(card, weights, *tests)


def parsed(archive: SafeZip, member: str) -> dict[str, Any]:
    """Return the YAML of an archive's member. Raises `ModelError`."""
    text = archive.read(member)
    if len(text) > LONGEST_TEXT:
        raise ModelError(f"'{member}' in {archive.name} is too long for a description")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise ModelError(
            f"'{member}' in {archive.name} is no YAML; export the model again"
        ) from exc
    if not isinstance(found, dict):
        raise ModelError(f"'{member}' in {archive.name} describes nothing")
    return found


def _card(rdf: dict[str, Any], path: Path) -> Card:
    config = rdf.get("config")
    card = config.get("her2sr") if isinstance(config, dict) else None
    if not isinstance(card, dict):
        raise ModelError(
            f"{path} has no card of her2sr, so that its normalization and size are "
            f"not known; train it here, or import a model of Fiji's Noise2Void"
        )
    try:
        return Card.model_validate(card)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelError(
            f"the card in {path} cannot be true ({where}: {first['msg']}); "
            f"use a model of this program's version"
        ) from exc


def _array(archive: SafeZip, member: str) -> F32:
    try:
        found = np.load(io.BytesIO(archive.read(member)), allow_pickle=False)
    except _BAD_ARRAY as exc:
        raise ModelError(
            f"'{member}' in {archive.name} is no array; export the model again"
        ) from exc
    if found.ndim != 4 or found.shape[:2] != (1, 1) or found.dtype != np.float32:
        raise ModelError(
            f"'{member}' in {archive.name} has shape {found.shape} and {found.dtype}; "
            f"one float32 patch with the axes batch, channel, y, x is wanted"
        )
    return np.asarray(found[0, 0], np.float32)


def _npy(patch: F32) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(patch, np.float32)[None, None], allow_pickle=False)
    return file.getvalue()


def _rdf(card: Card, parts: dict[str, bytes], at: datetime) -> dict[str, object]:
    """Return the description after the format."""
    normal = card.normalization
    # the format counts a halo as lost at the borders, and wants a pixel left
    least = (2 * card.halo_px // card.step_px + 1) * card.step_px
    size = {"min": max(least, card.minimum_px), "step": card.step_px}
    before = {
        "id": "fixed_zero_mean_unit_variance",
        "kwargs": {"mean": normal.mean_adu, "std": normal.sd_adu},
    }
    after = {
        "id": "scale_linear",
        "kwargs": {"gain": normal.sd_adu, "offset": normal.mean_adu},
    }
    found: dict[str, object] = {
        "type": "model",
        "format_version": FORMAT,
        "name": f"Noise2Void of her2sr - {card.form.method} - {card.source}",
        "description": f"Takes noise off fluorescence frames. {BANNER}",
        "timestamp": at.isoformat(),
        "authors": [{"name": "her2sr"}],
        "cite": [{"text": text, "doi": doi} for text, doi in PAPERS],
        "tags": ["denoising", "unet2d", "noise2void", "fluorescence"],
        "documentation": _source(README, parts),
        "inputs": [
            {
                "id": "input",
                "axes": _axes([{"size": size}, {"size": size}]),
                "data": {"type": "float32"},
                "test_tensor": _source(TEST_IN, parts),
                "preprocessing": [before],
            }
        ],
        "outputs": [
            {
                "id": "output",
                "axes": _axes(
                    [
                        {
                            "size": {"tensor_id": "input", "axis_id": axis},
                            "halo": card.halo_px,
                        }
                        for axis in ("y", "x")
                    ]
                ),
                "data": {"type": "float32"},
                "test_tensor": _source(TEST_OUT, parts),
                "postprocessing": [after],
            }
        ],
        "weights": {"onnx": {**_source(WEIGHTS, parts), "opset_version": 17}},
        "config": {"her2sr": card.model_dump(mode="json")},
    }
    if card.licence != UNSTATED:
        found["license"] = card.licence
    return found


def _source(name: str, parts: dict[str, bytes]) -> dict[str, str]:
    return {"source": name, "sha256": digest(parts[name])}


def _axes(space: list[dict[str, object]]) -> list[dict[str, object]]:
    down, across = space
    return [
        {"type": "batch"},
        {"type": "channel", "channel_names": ["counts"]},
        {"type": "space", "id": "y", **down},
        {"type": "space", "id": "x", **across},
    ]


def _readme(card: Card) -> str:
    """Return the card for people, as Markdown."""
    normal = card.normalization
    rows = {
        "form": f"U-Net, 2 halvings, {card.form.filters} filters, {card.form.method}",
        "normalization": f"mean {normal.mean_adu:.6g}, SD {normal.sd_adu:.6g} ADU",
        "axes": f"{card.axes}; sides from {card.minimum_px} px in steps of "
        f"{card.step_px}, halo {card.halo_px}",
        "source": card.source,
        "licence": card.licence,
        "weights": f"SHA-256 {card.weights_sha256}",
        **{f"training: {name}": value for name, value in card.training.items()},
        **{
            f"movie {n}": f"{m.frames_taken} frames of {m.shape}, SHA-256 {m.sha256}"
            for n, m in enumerate(card.movies, 1)
        },
        **{f"version: {name}": value for name, value in card.made_by.items()},
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    head = ["# Noise2Void model", "", BANNER, "", "| | |", "|---|---|"]
    return "\n".join([*head, *lines, ""])
