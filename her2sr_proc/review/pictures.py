"""Pictures for the page, as PNG: a nucleus cut out, a field at several sizes.

Nothing in a picture's name or content tells the arm or a count.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, PngImagePlugin
from scipy import ndimage

from her2sr_proc.errors import AbsentError, RequestError, StateError
from her2sr_proc.nuclei import outline
from her2sr_proc.report.pictures import (
    Stretch,
    composite,
    resized,
    stretch,
    stretch_sparse,
)
from her2sr_proc.review.machine import Machine, Stamp, stamp
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.reading import Picture
from her2sr_proc.schema.review import SignalView
from her2sr_proc.store.images import read_sample, read_tiff, read_window, shape_of
from her2sr_proc.store.layout import RunFolder

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
View = Literal["both", "her2", "cep17"]
Colours = Literal["safe", "clinic"]
RGB = dict[str, tuple[float, float, float]]

CROP_PX = 480
DAPI_DIMMED = 2.0
"""Nuclei are drawn to so many times their brightest level, below the signals."""
MARGIN_PX = 10
"""Of the camera, around a nucleus."""
MOST_PX = 2**26
"""Of a super-resolution image that is reduced at once; larger ones are a mosaic's."""
COLOURS: dict[Colours, RGB] = {
    "safe": {
        "HER2": (1.0, 0.25, 0.95),
        "CEP17": (0.25, 1.0, 0.35),
        "DAPI": (0.22, 0.32, 0.85),
    },
    "clinic": {
        "HER2": (1.0, 0.25, 0.2),
        "CEP17": (0.25, 1.0, 0.35),
        "DAPI": (0.22, 0.32, 0.85),
    },
}
"""Magenta and green are told apart by nearly everybody; red and green are customary."""
GREY: RGB = {"HER2": (1.0, 1.0, 1.0), "CEP17": (1.0, 1.0, 1.0)}
KINDS: dict[Picture, str] = {
    "superresolution": "superresolution",
    "conventional": "conventional",
}
SIZES_PX = (256, 1024, 4096)


@dataclass(frozen=True, slots=True)
class Window:
    """A square of a field in camera pixels; ends are not part of it."""

    top: int
    bottom: int
    left: int
    right: int


def window_of(run: RunFolder, field: str, nucleus: int) -> Window:
    """Return the square around a nucleus, in camera pixels.

    Raises `RequestError` where the field has no such nucleus.
    """
    labels, boxes = _labels(run.labels(field), stamp(run.labels(field)))
    box = boxes[nucleus - 1] if 0 < nucleus <= len(boxes) else None
    if box is None:
        raise AbsentError(f"field {field} has no nucleus {nucleus}")
    height, width = labels.shape
    down, right = (part.stop - part.start for part in box)
    side = min(max(down, right) + 2 * MARGIN_PX, height, width)
    top = min(max(0, box[0].start + (down - side) // 2), height - side)
    left = min(max(0, box[1].start + (right - side) // 2), width - side)
    return Window(top, top + side, left, left + side)


def crop(
    run: RunFolder,
    machine: Machine,
    key: str,
    *,
    picture: Picture,
    view: View,
    colours: Colours,
) -> bytes:
    """Return a nucleus with its outline as PNG, `CROP_PX` high and wide.

    Raises `RequestError` where there is no such nucleus, `StateError` where its field
    has no pictures.
    """
    machine.nucleus(key)
    field, _, number = key.partition("/")
    window = window_of(run, field, int(number))
    layers = _layers(run, machine, field, window, picture)
    if view == "both":
        image = composite(layers, CROP_PX, COLOURS[colours])
    else:
        wanted = [layer for layer in layers if layer[0].lower() == view]
        if not wanted:
            raise StateError(f"field {field} has no picture of {view.upper()}")
        image = composite(wanted, CROP_PX, GREY)
    labels, _ = _labels(run.labels(field), stamp(run.labels(field)))
    cut = labels[window.top : window.bottom, window.left : window.right]
    return png(_outlined(image, outline(cut, int(number)), len(cut)))


def field_picture(
    run: RunFolder, machine: Machine, field: str, channel: str, size: int
) -> bytes:
    """Return one channel of a field as PNG with a longer side of at most ``size``.

    Nuclei from the mean of all frames, signals from the super-resolution image.
    """
    facts = machine.channel(channel)
    machine.field(field)
    if size not in SIZES_PX:
        raise RequestError(f"a picture has {', '.join(map(str, SIZES_PX))} px")
    kind = "mean" if facts.role == "nuclei" else "superresolution"
    path = run.image(field, channel, kind)
    return _field_png(path, stamp(path), facts.probe, size)


def signals_over(run: RunFolder, machine: Machine, key: str) -> tuple[SignalView, ...]:
    """Return where the counted signals of a nucleus stand in its picture."""
    field, _, number = key.partition("/")
    window = window_of(run, field, int(number))
    side = window.bottom - window.top
    return tuple(
        SignalView(
            arm=mark.arm,
            probe=mark.probe,
            x=(mark.x_px + 0.5 - window.left) / side,
            y=(mark.y_px + 0.5 - window.top) / side,
        )
        for mark in machine.field(field).signals
        if mark.nucleus == int(number)
    )


def png(picture: U8) -> bytes:
    """Return a picture as PNG that carries the banner and nothing else."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", BANNER)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=3, pnginfo=told)
    return file.getvalue()


def _layers(
    run: RunFolder, machine: Machine, field: str, window: Window, picture: Picture
) -> list[tuple[str, F32, Stretch]]:
    """Return nuclei, then signals; each cut out, with the contrast of its field."""
    found = []
    for facts in sorted(machine.manifest.channels, key=lambda c: c.role != "nuclei"):
        kind = "mean" if facts.role == "nuclei" else KINDS[picture]
        path = run.image(field, facts.name, kind)
        at = stamp(path)
        if at is None:
            continue
        levels = _levels(path, at, facts.probe, kind == "superresolution")
        found.append((facts.probe, _cut(path, window, machine), levels))
    if len(found) < 2:
        raise StateError(
            f"field {field} has no pictures; make them with `her2sr process RUN_DIR`"
        )
    return found


def _cut(path: Path, window: Window, machine: Machine) -> F32:
    """Return the window of an image that covers the field with any pixel size."""
    height, width = shape_of(path)
    down = height / machine.manifest.frame_height
    right = width / machine.manifest.frame_width
    rows = slice(round(window.top * down), round(window.bottom * down))
    columns = slice(round(window.left * right), round(window.right * right))
    return np.asarray(read_window(path, rows, columns), np.float32)


@lru_cache(maxsize=1024)
def _levels(path: Path, _: Stamp, probe: str, is_sparse: bool) -> Stretch:
    image = np.asarray(read_sample(path), np.float32)
    if is_sparse:
        return stretch_sparse(image)
    levels = stretch(probe, image)
    if probe != "DAPI":
        return levels
    span = levels.white - levels.black
    return Stretch(levels.black, levels.black + DAPI_DIMMED * span)


@lru_cache(maxsize=8)
def _labels(
    path: Path, at: Stamp | None
) -> tuple[I32, list[tuple[slice, slice] | None]]:
    """Return the labels of a field, and the box of each."""
    if at is None:
        raise StateError(f"{path.name} is missing: no nuclei were found in this field")
    labels = np.asarray(read_tiff(path), np.int32)
    return labels, ndimage.find_objects(labels)


@lru_cache(maxsize=256)
def _field_png(path: Path, at: Stamp | None, probe: str, size: int) -> bytes:
    if at is None:
        raise StateError(f"there is no image {path.name} of this field")
    height, width = shape_of(path)
    if height * width > MOST_PX:
        raise StateError(
            "the super-resolution image is too large for one picture; draw the mosaic "
            "with `her2sr render RUN_DIR --channel NAME`"
        )
    image = np.asarray(read_tiff(path), np.float32)
    levels = stretch(probe, image) if probe == "DAPI" else stretch_sparse(image)
    scale = min(1.0, size / max(height, width))
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    shade = resized(levels.apply(image), shape)
    colour = np.array(COLOURS["safe"].get(probe, (1.0, 1.0, 1.0)), np.float32)
    return png(np.asarray(np.clip(shade[..., None] * colour, 0, 1) * 255, np.uint8))


def _outlined(picture: U8, points: npt.NDArray[np.float64], side: int) -> U8:
    """Return a picture with the rim of its nucleus as thin, broken line."""
    scale = picture.shape[0] / side
    places = [((x + 0.5) * scale, (y + 0.5) * scale) for y, x in points]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for a, b in _dashes(places):
        draw.line([a, b], fill=(235, 235, 235), width=2)
    return np.asarray(image)


def _dashes(
    places: list[tuple[float, float]], dash: float = 7.0, gap: float = 5.0
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return a polyline as dashes of even length along it."""
    corners = np.asarray(places)
    steps = np.hypot(*np.diff(corners, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    starts = np.arange(0.0, along[-1], dash + gap)

    def at(where: float) -> tuple[float, float]:
        x = np.interp(where, along, corners[:, 0])
        return float(x), float(np.interp(where, along, corners[:, 1]))

    return [(at(s), at(min(s + dash, along[-1]))) for s in starts]
