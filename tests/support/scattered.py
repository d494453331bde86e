"""Tables of scattered localizations for pictures, and pictures put together."""

import numpy as np

from her2sr_proc.pyramid.drawing import Drawing, cell_nm
from her2sr_proc.pyramid.frames import Ground, frame_of
from her2sr_proc.pyramid.shelf import Shelf
from her2sr_proc.schema.levels import Levels, Tile, Tiling
from her2sr_proc.schema.params import RenderParams
from her2sr_proc.schema.table import COLUMNS, Localizations

SMALL = Tiling(64, 1)


def table(x_nm, y_nm, uncertainty_nm=15.0) -> Localizations:
    columns = {c.name: np.zeros(len(x_nm), c.dtype) for c in COLUMNS}
    places = {"x_nm": x_nm, "y_nm": y_nm}
    for name in ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"):
        places[name] = np.broadcast_to(uncertainty_nm, len(x_nm))
    return Localizations(
        columns | {n: np.asarray(a, np.float32) for n, a in places.items()}
    )


def scattered(seed, rows, *, height_px, width_px, pixel_nm=130.0) -> Localizations:
    """Localizations anywhere in a frame, of 8 to 40 nm."""
    rng = np.random.default_rng(seed)
    return table(
        rng.uniform(-0.5, width_px - 0.5, rows) * pixel_nm,
        rng.uniform(-0.5, height_px - 0.5, rows) * pixel_nm,
        rng.uniform(8, 40, rows),
    )


def drawing_of(rows, *, height_px, width_px, tiling=SMALL, **params) -> Drawing:
    """The picture of one table of a camera with pixels of 130 nm."""
    wanted = RenderParams(**params)
    levels = Levels.covering(
        height_px * 130.0, width_px * 130.0, pixel_nm=wanted.pixel_nm, tiling=tiling
    )
    ground = Ground(height_px, width_px, 130.0)
    cell = cell_nm(levels)
    frame = frame_of(ground, lambda: [rows], params=wanted, cell_nm=cell)
    return Drawing(levels, Shelf([frame]), wanted)


def whole(drawing: Drawing, level: int) -> np.ndarray:
    """One level put together from its tiles' own pixels: localizations a pixel."""
    levels = drawing.levels
    image = np.zeros(levels.shape_at(level), np.float32)
    for tile in drawing.tiles(level):
        density = drawing.draw(tile)
        if density is not None:
            put(image, levels, tile, density)
    return image * (levels.pixel_nm_at(level) / 1000) ** 2


def put(image, levels: Levels, tile: Tile, picture) -> None:
    """Put what a tile adds where it belongs."""
    core, box = levels.core(tile), levels.box(tile)
    rows = slice(core.top - box.top, core.bottom - box.top)
    columns = slice(core.left - box.left, core.right - box.left)
    image[core.top : core.bottom, core.left : core.right] = picture[rows, columns]
