"""The overview: every tile at its place on the slide, with its name and its count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from her2sr_proc.report.overlay import BAR_UM
from her2sr_proc.report.pictures import (
    F32,
    U8,
    Stretch,
    composite,
    data_uri,
    stretch,
)

Layers = list[tuple[str, F32]]
WIDEST_PX = 1600


@dataclass(frozen=True, slots=True)
class Tile:
    """One field in the overview: probes with their conventional images."""

    name: str
    x_um: float
    """Slide point under the centre of the frame."""
    y_um: float
    layers: Layers
    caption: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The picture and what is drawn over it."""

    uri: str
    width: int
    height: int
    svg: str


def overview(tiles: Sequence[Tile], pixel_um: float) -> Overview | None:
    """Return the tiles side by side, each probe on one scale over all tiles.

    None when no tile holds an image.
    """
    tiles = [tile for tile in tiles if tile.layers]
    if not tiles:
        return None
    levels = _levels(tiles)
    rows, columns = tiles[0].layers[0][1].shape
    left = min(tile.x_um for tile in tiles)
    top = min(tile.y_um for tile in tiles)
    wide = (max(tile.x_um for tile in tiles) - left) / pixel_um + columns
    high = (max(tile.y_um for tile in tiles) - top) / pixel_um + rows
    zoom = min(2.0, WIDEST_PX / max(wide, high))
    canvas: U8 = np.zeros((round(high * zoom) + 1, round(wide * zoom) + 1, 3), np.uint8)
    parts: list[str] = []
    for tile in tiles:
        x = round((tile.x_um - left) / pixel_um * zoom)
        y = round((tile.y_um - top) / pixel_um * zoom)
        picture = _picture(tile, levels, round(rows * zoom))
        target = canvas[y : y + picture.shape[0], x : x + picture.shape[1]]
        target[:] = picture[: target.shape[0], : target.shape[1]]
        parts.append(_frame(tile, x, y, picture))
    height, width = canvas.shape[:2]
    bar = _bar(width, height, zoom / pixel_um)
    svg = (
        f'<svg class="overlay" viewBox="0 0 {width} {height}">{"".join(parts)}'
        f"{bar}</svg>"
    )
    return Overview(data_uri(canvas), width, height, svg)


def _levels(tiles: Sequence[Tile]) -> dict[str, Stretch]:
    """Return one stretch a probe, so that a faint tile looks faint."""
    pooled: dict[str, list[npt.NDArray[np.float32]]] = {}
    for tile in tiles:
        for probe, image in tile.layers:
            pooled.setdefault(probe, []).append(image[::4, ::4].ravel())
    return {p: stretch(p, np.concatenate(samples)) for p, samples in pooled.items()}


def _picture(tile: Tile, levels: dict[str, Stretch], size: int) -> U8:
    return composite([(p, image, levels[p]) for p, image in tile.layers], size)


def _frame(tile: Tile, x: int, y: int, picture: U8) -> str:
    height, width = picture.shape[:2]
    size = max(9.0, min(22.0, height * 0.03))
    return (
        f'<a href="#{escape(tile.name)}"><rect class="tile" x="{x}" y="{y}" '
        f'width="{width}" height="{height}"/></a>'
        f'<text class="tile" x="{x + size * 0.6:.1f}" y="{y + size * 1.4:.1f}" '
        f'font-size="{size:.1f}">{escape(tile.name)}</text>'
        f'<text class="tile caption" x="{x + size * 0.6:.1f}" '
        f'y="{y + height - size * 0.7:.1f}" font-size="{size:.1f}">'
        f"{escape(tile.caption)}</text>"
    )


def _bar(width: int, height: int, px_per_um: float) -> str:
    length_um = min(BAR_UM, key=lambda um: abs(um * px_per_um - width / 8))
    length = length_um * px_per_um
    x, y = width - length - width * 0.02, height * 0.975
    return (
        f'<g class="bar"><rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" '
        f'height="{max(3.0, height * 0.005):.1f}"/><text x="{x + length / 2:.1f}" '
        f'y="{y - height * 0.008:.1f}" font-size="{height * 0.02:.1f}" '
        f'text-anchor="middle">{length_um} µm</text></g>'
    )
