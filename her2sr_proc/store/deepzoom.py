"""Pictures at many scales as Deep Zoom: NAME.dzi, and PNG tiles in NAME_files.

OpenSeadragon opens the .dzi. Dark tiles are not written; the .dzi names the others
(DisplayRect), so that no viewer asks for what is not there. Source of the format:
Microsoft, Deep Zoom File Format Overview, schema of 2008.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.levels import Levels, Tile, Tiling
from her2sr_proc.schema.pyramid import PyramidFacts
from her2sr_proc.store.atomic import (
    replacing_folder,
    require_writable,
    write_text,
)
from her2sr_proc.store.images import palette
from her2sr_proc.store.rectangles import Rectangle, rectangles

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

TILING = Tiling(510, 1)
"""With a pixel of each neighbour a PNG is 512 wide, and smooth scaling has no seams."""
NAMESPACE = "http://schemas.microsoft.com/deepzoom/2008"
FACTS = "facts.json"
COMPRESSION = 3
"""Half the time of the usual 6, and a seventh more bytes."""


def files_of(path: Path) -> Path:
    """Return the folder of tiles of a .dzi, where viewers look for it."""
    return path.with_name(f"{path.stem}_files")


def require_place(path: Path) -> None:
    """Raise `RequestError` when no picture could be written as ``path``.

    To be asked before work that would be lost.
    """
    require_writable(path)
    files = files_of(path)
    if files.exists() and not (files / FACTS).is_file():
        raise RequestError(
            f"{files} is in the way: it is no folder of tiles that her2sr made; "
            f"rename it, or choose another name"
        )
    require_writable(files.with_name(f"{files.name}.new"))


class DeepZoomWriter:
    """Writes tiles of one picture into a folder. Threads may share it."""

    def __init__(self, folder: Path, levels: Levels, facts: PyramidFacts) -> None:
        self._folder = folder
        self._levels = levels
        self._facts = facts
        self._height, self._width = levels.height_px, levels.width_px
        self._finest = (max(self._height, self._width) - 1).bit_length()
        self._colours = palette(facts.colour).tobytes()
        self._comment = PngImagePlugin.PngInfo()
        self._comment.add_text("Comment", BANNER)
        self._written: set[Tile] = set()
        for level in range(self._finest + 1):
            (folder / str(level)).mkdir()

    def put(self, tile: Tile, density: F32) -> None:
        """Write the picture of a tile.

        Parameters
        ----------
        tile : Tile
            Which one.
        density : float32 array, shape `Levels.box`
            Localizations a square micrometre.
        """
        self._save(self._finest - tile.level, tile.row, tile.column, density)
        self._written.add(tile)
        if tile.level == self._levels.count - 1:
            self._put_thumbnails(density)

    def finish(self) -> str:
        """Write what the tiles do not say; return the text of the .dzi."""
        coarsest = Tile(self._levels.count - 1, 0, 0)
        if coarsest not in self._written:  # a viewer wants something to show
            self.put(coarsest, np.zeros(self._levels.box(coarsest).shape, np.float32))
        write_text(self._folder / FACTS, self._facts.model_dump_json(indent=2) + "\n")
        return self._describe()

    def _put_thumbnails(self, density: F32) -> None:
        """Write the levels below the coarsest, down to one pixel, as viewers expect.

        They are means of the one tile of the coarsest level.
        """
        for level in range(self._finest - self._levels.count, -1, -1):
            density = _halved(density)
            self._save(level, 0, 0, density)

    def _save(self, level: int, row: int, column: int, density: F32) -> None:
        picture = Image.fromarray(self._shade(density))
        picture.putpalette(self._colours)
        path = self._folder / str(level) / f"{column}_{row}.png"
        picture.save(path, "PNG", compress_level=COMPRESSION, pnginfo=self._comment)

    def _shade(self, density: F32) -> U8:
        """Return the shade of every pixel, by one rule for all tiles and levels."""
        share = np.minimum(density / np.float32(self._facts.white_per_um2), 1.0)
        share **= np.float32(self._facts.gamma)
        return np.asarray(np.rint(share * 255), np.uint8)

    def _describe(self) -> str:
        image = ET.Element(
            "Image",
            xmlns=NAMESPACE,
            Format="png",
            Overlap=str(self._levels.overlap_px),
            TileSize=str(self._levels.tile_px),
        )
        ET.SubElement(image, "Size", Height=str(self._height), Width=str(self._width))
        rects = ET.SubElement(image, "DisplayRects")
        for level in self._levels:
            places = [(t.row, t.column) for t in self._written if t.level == level]
            # a level without any rectangle would count as full
            for rectangle in rectangles(places) or [Rectangle(0, 0, 0, 0)]:
                self._add_rectangle(rects, level, rectangle)
        ET.indent(image)
        return ET.tostring(image, encoding="unicode", xml_declaration=True) + "\n"

    def _add_rectangle(self, rects: ET.Element, level: int, found: Rectangle) -> None:
        named = str(self._finest - level)
        rect = ET.SubElement(rects, "DisplayRect", MinLevel=named, MaxLevel=named)
        side = self._levels.tile_px << level
        left, top = found.left * side, found.top * side
        ET.SubElement(
            rect,
            "Rect",
            X=str(left),
            Y=str(top),
            Width=str(min(found.right * side, self._width) - left),
            Height=str(min(found.bottom * side, self._height) - top),
        )


@contextmanager
def writing(
    path: Path, levels: Levels, facts: PyramidFacts
) -> Iterator[DeepZoomWriter]:
    """Yield a writer; its picture stands under ``path`` when all went well, or not."""
    files = files_of(path)
    with replacing_folder(files, announced_by=path) as folder:
        writer = DeepZoomWriter(folder, levels, facts)
        yield writer
        text = writer.finish()
    write_text(path, text)


def _halved(image: F32) -> F32:
    """Return the mean of every 2 x 2 pixels; beyond the edge it is dark."""
    height, width = image.shape
    even = np.pad(image, ((0, height % 2), (0, width % 2)))
    blocks = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)
