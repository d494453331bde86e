"""Pictures at many scales as OME-Zarr: NGFF 0.4 on Zarr 2, for napari and QuPath.

Numbers, not colours: localizations a square micrometre, float32. Dark tiles are not
written; readers fill them with 0. Source: https://ngff.openmicroscopy.org/0.4/.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs import Blosc

from her2sr_proc.errors import RequestError
from her2sr_proc.schema.levels import Levels, Tile, Tiling
from her2sr_proc.schema.pyramid import PyramidFacts
from her2sr_proc.store.atomic import replacing_folder, require_writable
from her2sr_proc.store.images import palette

F32 = npt.NDArray[np.float32]

TILING = Tiling(512, 0)
OURS = "her2sr"
"""The key of our own facts among the attributes."""


def require_place(path: Path) -> None:
    """Raise `RequestError` when no picture could be written as ``path``.

    To be asked before work that would be lost.
    """
    if path.exists() and not _is_ours(path):
        raise RequestError(
            f"{path} is in the way: it is no picture at many scales that her2sr made; "
            f"rename it, or choose another name"
        )
    require_writable(path.with_name(f"{path.name}.new"))


def _is_ours(path: Path) -> bool:
    attributes = path / ".zattrs"
    return attributes.is_file() and f'"{OURS}"' in attributes.read_text()


class NgffWriter:
    """Writes tiles of one picture as chunks. Threads may share it."""

    def __init__(self, folder: Path, levels: Levels, facts: PyramidFacts) -> None:
        if levels.overlap_px:
            raise ValueError("chunks do not overlap, and two threads would share one")
        group = zarr.create_group(store=str(folder), zarr_format=2)
        group.attrs.update(_attributes(levels, facts))
        self._levels = levels
        self._arrays = [_create(group, levels, level) for level in levels]

    def put(self, tile: Tile, density: F32) -> None:
        """Write the numbers of a tile.

        Parameters
        ----------
        tile : Tile
            Which one; a tile is a chunk, so that no two threads share one.
        density : float32 array, shape `Levels.box`
            Localizations a square micrometre.
        """
        box = self._levels.box(tile)
        where = (0, slice(box.top, box.bottom), slice(box.left, box.right))
        self._arrays[tile.level][where] = density


@contextmanager
def writing(path: Path, levels: Levels, facts: PyramidFacts) -> Iterator[NgffWriter]:
    """Yield a writer; its picture stands under ``path`` when all went well, or not."""
    with replacing_folder(path) as folder:
        yield NgffWriter(folder, levels, facts)


def _create(group: zarr.Group, levels: Levels, level: int) -> Any:  # noqa: ANN401 - zarr ships no usable types
    side = levels.tile_px
    return group.create_array(
        str(level),
        shape=(1, *levels.shape_at(level)),
        chunks=(1, side, side),
        dtype="float32",
        compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
        fill_value=0.0,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


def _attributes(levels: Levels, facts: PyramidFacts) -> dict[str, object]:
    """Return the metadata: every level begins at the same edge of the sample.

    A translation is the place of the first pixel's centre, which is half a pixel of
    its level from that edge.
    """
    datasets = []
    for level in levels:
        pixel_um = levels.pixel_nm_at(level) / 1000.0
        first = [0.0, facts.top_um + pixel_um / 2, facts.left_um + pixel_um / 2]
        transformations: list[dict[str, object]] = [
            {"type": "scale", "scale": [1.0, pixel_um, pixel_um]},
            {"type": "translation", "translation": first},
        ]
        datasets.append(
            {"path": str(level), "coordinateTransformations": transformations}
        )
    axes: list[dict[str, str]] = [{"name": "c", "type": "channel"}]
    axes += [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"]
    return {
        "multiscales": [
            {
                "version": "0.4",
                "name": facts.source,
                "axes": axes,
                "datasets": datasets,
                "type": "drawn from localizations",
            }
        ],
        "omero": _display(facts),
        OURS: facts.model_dump(mode="json"),
    }


def _display(facts: PyramidFacts) -> dict[str, object]:
    """Return how viewers are to show it: the same contrast at every level."""
    red, green, blue = palette(facts.colour)[170]
    white = facts.white_per_um2
    channel = {
        "label": facts.channel or facts.source,
        "active": True,
        "color": f"{red:02X}{green:02X}{blue:02X}",
        "window": {"min": 0.0, "start": 0.0, "end": white, "max": white},
    }
    return {"version": "0.4", "name": facts.source, "channels": [channel]}
