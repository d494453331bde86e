"""Processed movies as TIFF stacks that ImageJ opens: whole, or not there at all.

ImageJ's own form as long as it holds them; OME-TIFF where the movie came as such or the
name asks for it, and OME-BigTIFF above 4 GB.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.atomic import (
    replacing,
    replacing_folder,
    require_writable,
    telling,
)
from her2sr_proc.store.ome import ome_text
from her2sr_proc.store.stack_facts import StackFacts

Frames = npt.NDArray[Any]
SUFFIXES = (".tif", ".tiff")
CLASSIC_BYTES = 2**32 - 2**25
"""Of pixels, above which a classic TIFF has no room for its directories."""
LEAST_DIGITS = 4
"""Of a frame's number in a file's name, as ImageJ writes it."""


def require_stack(out: Path, *inputs: Path) -> None:
    """Raise `RequestError` unless a stack can be written as ``out``.

    To be asked before work that would be lost. An input is never written over.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise RequestError(f"{out.name} is no name of a TIFF; end it in .tif")
    for path in inputs:
        if out.exists() and path.exists() and out.samefile(path):
            raise RequestError(
                f"{out} is what is read; a movie is never written over: choose another "
                f"name"
            )
        if path.is_dir() and out.resolve().parent == path.resolve():
            raise RequestError(
                f"{out} would be taken for a frame of {path}; write it elsewhere"
            )
    require_writable(out)


def require_new_folder(out: Path) -> None:
    """Raise `RequestError` unless frames can be written to a folder of their own.

    A folder that holds anything is left alone: its frames would mix with ours.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise RequestError(
            f"{out} is there already and not empty; choose the name of a new folder"
        )
    require_writable(out.with_name(f"{out.name}.new"))


def write_stack(
    out: Path,
    blocks: Iterable[Frames],
    shape: tuple[int, int, int],
    facts: StackFacts,
    *,
    dtype: np.dtype[Any],
) -> None:
    """Write frames as they come; the file appears when the last is there.

    Parameters
    ----------
    out : Path
        ``.tif`` or ``.tiff``; ``.ome.tif`` asks for OME.
    blocks : iterable of arrays, shape (frames, height, width)
        In order; as many frames as ``shape`` says, uint16 or float32.
    shape : tuple
        Frames, height, width.
    facts : StackFacts
        Of these frames; what the file says beside its pixels.
    dtype : dtype
        Of the frames.

    Raises
    ------
    WriteError
        When the disk is full or the like. Whatever ``blocks`` raises passes; nothing
        is left behind then.
    """
    pages = (frame for block in blocks for frame in block)
    is_ome = facts.ome is not None or ".ome" in out.suffixes or _is_big(shape, dtype)
    write = _write_ome if is_ome else _write_imagej
    with telling(out), replacing(out) as beside:
        write(beside, pages, shape, dtype, _signed(facts))


def write_frames(
    folder: Path, blocks: Iterable[Frames], facts: StackFacts, *, stem: str, count: int
) -> None:
    """Write one file a frame, numbered from 1; the folder appears when all are there.

    Raises `WriteError` as `write_stack` does.
    """
    digits = max(LEAST_DIGITS, len(str(count)))
    with telling(folder), replacing_folder(folder) as beside:
        number = 0
        for block in blocks:
            for frame in block:
                label = facts.labels[number : number + 1]
                number += 1
                _write_imagej(
                    beside / f"{stem}-{number:0{digits}d}.tif",
                    iter([frame]),
                    (1, *frame.shape),
                    frame.dtype,
                    replace(_signed(facts), labels=label),
                )


def stem_of(path: Path) -> str:
    """Return a movie's name without what says its form, fit for a file's name."""
    stem = path.name if path.is_dir() else path.stem
    stem = stem.removesuffix(".zarr").removesuffix(".ome")
    return re.sub(r"[^\w.+-]+", "_", stem) or "frame"


def _signed(facts: StackFacts) -> StackFacts:
    """Return facts whose note ends with what stands on every surface."""
    return replace(facts, note=f"{facts.note}; {BANNER}" if facts.note else BANNER)


def _is_big(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> bool:
    return math.prod(shape) * dtype.itemsize > CLASSIC_BYTES


def _write_imagej(
    path: Path,
    pages: Iterator[Frames],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    facts: StackFacts,
) -> None:
    """Write ImageJ's form, which has no room above 4 GB."""
    told: dict[str, Any] = {
        "axes": "TYX",
        "Info": f"{facts.info}\n{facts.note}".strip(),
    }
    if facts.labels:
        told["Labels"] = list(facts.labels)
    if facts.interval_s is not None:
        told |= {"finterval": facts.interval_s, "fps": 1 / facts.interval_s}
    scale: dict[str, Any] = {}
    if facts.pixel_um is not None:
        told["unit"] = "um"
        scale = {"resolution": (1 / facts.pixel_um, 1 / facts.pixel_um)}
    with tifffile.TiffWriter(path, imagej=True, byteorder="<") as file:
        file.write(pages, shape=shape, dtype=dtype, metadata=told, **scale)


def _write_ome(
    path: Path,
    pages: Iterator[Frames],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    facts: StackFacts,
) -> None:
    text = ome_text(facts, shape, "float" if dtype.kind == "f" else "uint16")
    scale: dict[str, Any] = {}
    if facts.pixel_um is not None:
        per_cm = 1e4 / facts.pixel_um
        scale = {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(
        path, bigtiff=_is_big(shape, dtype), byteorder="<"
    ) as file:
        file.write(
            pages,
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            description=text.encode(),
            metadata=None,
            **scale,
        )
