"""Segmentation by programs of others: StarDist, Cellpose, InstanSeg, one's own.

A package offers a function under the entry point group ``her2sr.segmenters``; three
adapters come with her2sr and ask for their program only when they are called. They are
not dependencies: their weights are downloaded by them, under their own licences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from skimage import segmentation

from her2sr_proc.errors import DataError, RequestError, SegmenterError

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

GROUP = "her2sr.segmenters"
OWN = tuple(
    EntryPoint(name, f"{__name__}:{name}", GROUP)
    for name in ("stardist", "cellpose", "instanseg")
)
"""Adapters that come with her2sr; a package may offer better ones by the same names."""


class Segmenter(Protocol):
    """What an entry point of the group gives."""

    def __call__(self, image: F32, *, pixel_um: float) -> npt.NDArray[Any]:
        """Return labels of the image's shape, whole numbers, 0 for the background."""
        ...


Importer = Callable[[str], Any]


def run(
    name: str,
    image: F32,
    *,
    pixel_um: float,
    offered: Iterable[EntryPoint] | None = None,
) -> I32:
    """Return the labels that a named segmenter gives, checked and numbered from 1.

    Parameters
    ----------
    name : str
        Of an entry point.
    image : float32 array, shape (height, width)
        Mean DAPI image.
    pixel_um : float
        Width of a pixel in the sample.
    offered : iterable of EntryPoint, optional
        Our own and those of this installation, if not given.

    Raises
    ------
    RequestError
        When nobody offers the name.
    SegmenterError
        When its program is not installed, or fails.
    DataError
        When what it returns is no label image.
    """
    if offered is None:
        offered = (*OWN, *entry_points(group=GROUP))
    segmenter = _loaded(name, offered)
    try:
        found = np.asarray(segmenter(image, pixel_um=pixel_um))
    except SegmenterError:
        raise
    except Exception as exc:
        raise SegmenterError(
            f"the segmenter '{name}' failed ({type(exc).__name__}: {exc}); "
            f"see to it, or choose another method"
        ) from exc
    return _checked(name, found, image.shape)


def _loaded(name: str, offered: Iterable[EntryPoint]) -> Segmenter:
    by_name = {entry.name: entry for entry in offered}
    if name not in by_name:
        raise RequestError(
            f"no segmenter is called '{name}'; there are: "
            f"{', '.join(sorted(by_name)) or 'none'}"
        )
    try:
        segmenter: Segmenter = by_name[name].load()
    except (ImportError, AttributeError) as exc:
        raise SegmenterError(
            f"the segmenter '{name}' cannot be loaded ({exc}); install its package anew"
        ) from exc
    return segmenter


def _checked(name: str, found: npt.NDArray[Any], shape: tuple[int, ...]) -> I32:
    whole = found.dtype.kind in "iub"
    if found.shape != shape or not whole or (found.size and found.min() < 0):
        raise DataError(
            f"the segmenter '{name}' returned {found.dtype} of shape {found.shape}; "
            f"whole numbers from 0 of shape {shape} are wanted"
        )
    labels, _, _ = segmentation.relabel_sequential(found.astype(np.int64))
    return np.asarray(labels, np.int32)


def stardist(
    image: F32, *, pixel_um: float, bring: Importer = import_module
) -> npt.NDArray[Any]:
    """Segment by StarDist's pretrained ``2D_versatile_fluo`` (pip install stardist)."""
    models = _brought(bring, "stardist.models", "StarDist", "stardist tensorflow")
    model = models.StarDist2D.from_pretrained("2D_versatile_fluo")
    labels, _ = model.predict_instances(
        _stretched(image), scale=pixel_um / _TRAINED_AT_UM
    )
    return np.asarray(labels)


def cellpose(
    image: F32, *, pixel_um: float, bring: Importer = import_module
) -> npt.NDArray[Any]:
    """Segment by Cellpose's own model (pip install cellpose)."""
    models = _brought(bring, "cellpose.models", "Cellpose", "cellpose")
    model = models.CellposeModel(gpu=False)
    masks, *_ = model.eval(image, diameter=_NUCLEUS_UM / pixel_um)
    return np.asarray(masks)


def instanseg(
    image: F32, *, pixel_um: float, bring: Importer = import_module
) -> npt.NDArray[Any]:
    """Segment by InstanSeg's ``fluorescence_nuclei_and_cells``."""
    module = _brought(bring, "instanseg", "InstanSeg", "instanseg-torch")
    model = module.InstanSeg("fluorescence_nuclei_and_cells", verbosity=0)
    labels, _ = model.eval_small_image(image[None], pixel_um, target="nuclei")
    return np.asarray(labels).squeeze().astype(np.int64)


_TRAINED_AT_UM = 0.4
"""StarDist's model knows nuclei of about 25 pixels."""
_NUCLEUS_UM = 9.0


def _stretched(image: F32) -> F32:
    low, high = np.percentile(image, (1.0, 99.8))
    return np.asarray((image - low) / max(float(high - low), 1e-12), np.float32)


def _brought(bring: Importer, module: str, program: str, packages: str) -> Any:  # noqa: ANN401
    try:
        return bring(module)
    except ImportError as exc:
        raise SegmenterError(
            f"{program} is not installed; install it with: pip install {packages}"
        ) from exc
