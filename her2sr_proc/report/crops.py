"""The cohort's pictures: both arms of a nucleus or a field, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from her2sr_proc.report.pictures import (
    Stretch,
    composite,
    stretch,
    stretch_sparse,
)
from her2sr_proc.report.plots import INK, STYLE

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Layers = list[tuple[str, F32]]
PANEL_PX = 700
DAPI_DIMMED = 2.0
"""Nuclei are drawn to so many times their brightest level, below the signals."""
RING_UM = 0.35
RING_COLOURS = {"HER2": "#ff9aa5", "CEP17": "#8dffb0"}
OUTLINE = [withStroke(linewidth=2, foreground="black")]


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a field in camera pixels; ends are not part of it."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Ring:
    """A counted signal, in camera pixels; the first pixel's centre is 0."""

    probe: str
    y_px: float
    x_px: float


@dataclass(frozen=True, slots=True)
class Scene:
    """What is shown of one sample: both arms of a window in a field."""

    title: str
    caption_conventional: str
    caption_superresolution: str
    conventional: Layers
    """Probe and image of every channel, nuclei first; camera pixels."""
    superresolution: Layers
    """Signal channels alone, any pixel size."""
    rings_conventional: tuple[Ring, ...]
    rings_superresolution: tuple[Ring, ...]
    window: Window
    pixel_um: float


def window_around(labels: npt.NDArray[np.int32], nucleus: int, margin: int) -> Window:
    """Return a square around a nucleus with a margin, kept inside the field.

    ``labels``: int32, shape (height, width).
    """
    rows, columns = np.nonzero(labels == nucleus)
    height, width = labels.shape
    down, right = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    side = min(max(down, right) + 2 * margin, height, width)
    top = int(rows.min()) + (down - side) // 2
    left = int(columns.min()) + (right - side) // 2
    top = min(max(0, top), height - side)
    left = min(max(0, left), width - side)
    return Window(top, top + side, left, left + side)


def side_by_side(scenes: Sequence[Scene], bar_um: float, *, in_columns: bool) -> Figure:
    """Return a figure of scenes with a scale bar each.

    ``in_columns``: one column a scene, conventional above (figure 3); else one row a
    scene, conventional on the left (figure 5). Panels are lettered or numbered as in
    the paper.
    """
    shape = (2, len(scenes)) if in_columns else (len(scenes), 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.3 * shape[1], 3.55 * shape[0] + 0.25))
        grid = figure.subplots(*shape, squeeze=False)
        for n, scene in enumerate(scenes):
            for arm in (0, 1):
                axes = grid[arm, n] if in_columns else grid[n, arm]
                place = arm * len(scenes) + n if in_columns else 2 * n + arm
                mark = f"({'abcdefgh'[place]})" if in_columns else f"({place + 1})"
                _panel(axes, scene, arm, mark, bar_um)
        figure.subplots_adjust(0.01, 0.045, 0.99, 0.93, wspace=0.04, hspace=0.16)
    return figure


def _panel(
    axes: Any,  # noqa: ANN401 - an Axes of matplotlib
    scene: Scene,
    arm: int,
    mark: str,
    bar_um: float,
) -> None:
    picture = _superresolution(scene) if arm else _conventional(scene)
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    words = scene.caption_superresolution if arm else scene.caption_conventional
    axes.set_title(f"{mark} {scene.title}\n{words}", fontsize=8, color=INK, loc="left")
    rings = scene.rings_superresolution if arm else scene.rings_conventional
    px_per_um = picture.shape[1] / scene.pixel_um
    px_per_um /= scene.window.right - scene.window.left
    _draw_rings(axes, scene, rings, px_per_um)
    _draw_bar(axes, picture, bar_um, px_per_um)


def _draw_rings(
    axes: Any,  # noqa: ANN401 - an Axes of matplotlib
    scene: Scene,
    rings: tuple[Ring, ...],
    px_per_um: float,
) -> None:
    scale = px_per_um * scene.pixel_um
    for ring in rings:
        place = (
            (ring.x_px + 0.5 - scene.window.left) * scale - 0.5,
            (ring.y_px + 0.5 - scene.window.top) * scale - 0.5,
        )
        colour = RING_COLOURS.get(ring.probe, "white")
        radius = RING_UM * px_per_um
        axes.add_patch(Circle(place, radius, fill=False, ec=colour, lw=0.9))


def _draw_bar(
    axes: Any,  # noqa: ANN401 - an Axes of matplotlib
    picture: U8,
    bar_um: float,
    px_per_um: float,
) -> None:
    height, width = picture.shape[:2]
    bar = bar_um * px_per_um
    x, y = width * 0.95 - bar, height * 0.94
    axes.plot(
        (x, x + bar),
        (y, y),
        color="white",
        lw=3,
        solid_capstyle="butt",
        path_effects=[withStroke(linewidth=4.5, foreground="black")],
    )
    axes.text(
        x + bar / 2,
        y - height * 0.025,
        f"{bar_um:g} µm",
        color="white",
        ha="center",
        path_effects=OUTLINE,
    )


def _conventional(scene: Scene) -> U8:
    layers = [
        (probe, _cut(image, scene, image.shape), _levels(probe, image))
        for probe, image in scene.conventional
    ]
    return composite(layers, PANEL_PX)


def _superresolution(scene: Scene) -> U8:
    field = scene.conventional[0][1].shape
    nuclei = [
        (p, _cut(i, scene, field), _levels(p, i))
        for p, i in scene.conventional
        if p == "DAPI"
    ]
    signals: list[tuple[str, F32, Stretch]] = [
        (p, _cut(i, scene, field), stretch_sparse(i)) for p, i in scene.superresolution
    ]
    return composite([*nuclei, *signals], PANEL_PX)


def _levels(probe: str, image: F32) -> Stretch:
    """Return the levels of the whole field, nuclei dimmed."""
    levels = stretch(probe, image)
    if probe != "DAPI":
        return levels
    span = levels.white - levels.black
    return Stretch(levels.black, levels.black + DAPI_DIMMED * span)


def _cut(image: F32, scene: Scene, field: tuple[int, ...]) -> F32:
    """Return the window of an image that covers the field with any pixel size."""
    down, right = image.shape[0] / field[0], image.shape[1] / field[1]
    w = scene.window
    return image[
        round(w.top * down) : round(w.bottom * down),
        round(w.left * right) : round(w.right * right),
    ]
