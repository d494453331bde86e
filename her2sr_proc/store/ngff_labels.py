"""Nuclei as OME-Zarr labels over their DAPI image: NGFF 0.4 on Zarr 2.

For napari, QuPath and OMERO. Values are the numbers of the nuclei in the counts.
Source: https://ngff.openmicroscopy.org/0.4/, "labels" and "image-label".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import zarr
from numcodecs import Blosc

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.counts import NucleusCounts
from her2sr_proc.store.atomic import replacing_folder

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

NAME = "nuclei"
SIDE_PX = 512
SCORED, EXCLUDED = (60, 180, 90, 160), (150, 150, 150, 120)
"""Red, green, blue, opacity of a nucleus that is scored, and of one that is not."""


def write_labels(
    path: Path,
    labels: I32,
    image: F32,
    nuclei: tuple[NucleusCounts, ...],
    *,
    pixel_um: float,
    first_um: tuple[float, float],
) -> None:
    """Write one field: its DAPI image, and the nuclei found in it.

    Parameters
    ----------
    path : Path
        A folder named ``.ome.zarr``; replaced whole.
    labels : int32 array, shape (height, width)
        0: no nucleus.
    image : float32 array of the same shape
        Mean of the frames, in camera counts.
    nuclei : tuple of NucleusCounts
        Their counts stand beside each label.
    pixel_um : float
    first_um : pair of float
        y, x of the first pixel's centre on the slide, in micrometres.

    Raises
    ------
    WriteError
        Nothing stands there then, or what stood before.
    """
    with replacing_folder(path) as folder:
        group = zarr.create_group(store=str(folder), zarr_format=2)
        place = _placed(pixel_um, first_um)
        group.attrs.update({"multiscales": [place | {"name": "DAPI"}]})
        _array(group, image.astype(np.float32))
        holder = group.create_group("labels")
        holder.attrs.update({"labels": [NAME]})
        mine = holder.create_group(NAME)
        mine.attrs.update(
            {
                "multiscales": [place | {"name": NAME}],
                "image-label": _about(nuclei),
                "her2sr": {"banner": BANNER},
            }
        )
        _array(mine, labels.astype(np.int32))


def _array(group: zarr.Group, values: npt.NDArray[np.generic]) -> None:
    array = group.create_array(
        "0",
        shape=values.shape,
        chunks=tuple(min(SIDE_PX, side) for side in values.shape),
        dtype=values.dtype.name,
        compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
        fill_value=0,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
    array[:] = values


def _placed(pixel_um: float, first_um: tuple[float, float]) -> dict[str, object]:
    return {
        "version": "0.4",
        "axes": [{"name": n, "type": "space", "unit": "micrometer"} for n in "yx"],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [pixel_um, pixel_um]},
                    {"type": "translation", "translation": list(first_um)},
                ],
            }
        ],
    }


def _about(nuclei: tuple[NucleusCounts, ...]) -> dict[str, object]:
    """Return colours and properties of every label."""
    return {
        "version": "0.4",
        "colors": [
            {
                "label-value": nucleus.nucleus,
                "rgba": list(EXCLUDED if nucleus.excluded else SCORED),
            }
            for nucleus in nuclei
        ],
        "properties": [_properties(nucleus) for nucleus in nuclei],
        "source": {"image": "../../"},
    }


def _properties(nucleus: NucleusCounts) -> dict[str, object]:
    values: dict[str, object] = {
        "label-value": nucleus.nucleus,
        "region": nucleus.region,
        "excluded": nucleus.excluded,
        "exclusion_reason": nucleus.exclusion_reason,
    }
    for arm, probes in nucleus.counts.items():
        for probe, count in probes.items():
            values[f"{probe.lower()}_{arm}"] = count.count
    return values
