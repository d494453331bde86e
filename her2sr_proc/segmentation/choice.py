"""Which segmentation answers, and what takes its place when it cannot.

The network falls back to the classical watershed and says why. A segmenter that
somebody chose by name does not: an answer by another method would be mistaken for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import NetworkError
from her2sr_proc.schema.count_params import NucleiParams
from her2sr_proc.segmentation import classical, instances, plugins
from her2sr_proc.segmentation.frames import require_image
from her2sr_proc.segmentation.network import Network

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]

PLUGIN = "plugin:"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Labels, and how they came about."""

    labels: I32
    """From 1; 0 is background."""
    method: str
    """``network`` with the digest of its file, ``classical`` or ``plugin:NAME``."""
    fallback_reason: str = ""
    """Why it is not the method that was asked for; empty when it is."""


def segment(
    dapi: F32,
    *,
    pixel_um: float,
    params: NucleiParams,
    network: Callable[[], Network] = Network,
) -> Segmentation:
    """Return the nuclei of a mean DAPI image by the method of the parameters.

    Parameters
    ----------
    dapi : float32 array, shape (height, width)
        Mean image; any unit, any offset.
    pixel_um : float
        Width of a pixel in the sample.
    params : NucleiParams
        Method, lengths and areas in micrometres.
    network : callable
        Opens the network.

    Raises
    ------
    RequestError, SegmenterError, DataError
        When a segmenter of another program was asked for and cannot answer, and
        when the image is none.
    """
    require_image(dapi)
    if params.method.startswith(PLUGIN):
        name = params.method.removeprefix(PLUGIN)
        labels = plugins.run(name, dapi, pixel_um=pixel_um)
        return Segmentation(labels, params.method)
    if params.method == "classical":
        labels = classical.segment(dapi, pixel_um=pixel_um, params=params)
        return Segmentation(labels, "classical")
    try:
        opened = network()
    except NetworkError as exc:
        labels = classical.segment(dapi, pixel_um=pixel_um, params=params)
        return Segmentation(labels, "classical", str(exc))
    labels = _by_network(dapi, opened, pixel_um, params)
    return Segmentation(labels, f"network {opened.digest}")


def _by_network(
    dapi: F32, network: Network, pixel_um: float, params: NucleiParams
) -> I32:
    """Return labels; an image without contrast holds none."""
    if not classical.has_contrast(dapi, pixel_um, params):
        return np.zeros(dapi.shape, np.int32)
    labels = instances.find(
        dapi, network, diameter_px=2.0 * params.typical_radius_um / pixel_um
    )
    smallest = params.debris_area_um2 / pixel_um**2
    return instances.without_debris(labels, smallest)
