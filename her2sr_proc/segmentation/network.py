"""The network that finds nuclei: planes of an image in, five maps out.

Runs the shipped ONNX file on one thread, so that a result does not depend on the
machine's cores. Knows neither labels nor micrometres.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import NetworkError

F32 = npt.NDArray[np.float32]

MODEL = Path(str(resources.files(__package__))) / "nuclei.onnx"
TILE_PX = 512
MARGIN_PX = 56
"""More than the network sees around a pixel (44 px, and up to 7 of alignment)."""
MAPS = 5
"""Foreground, depth, contact, and the ways down and right to the centre."""
STEP_PX = 8
"""Three halvings: a tile starts and ends at multiples of it."""


class Network:
    """The shipped network, or another file of the same form.

    Raises `NetworkError` when the runtime or the file is missing or broken; whoever
    can do without a network catches it.
    """

    def __init__(self, path: Path = MODEL) -> None:
        try:
            import onnxruntime
        except ImportError as exc:
            raise NetworkError(
                "the package onnxruntime is not installed; "
                "install it with: pip install onnxruntime"
            ) from exc
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise NetworkError(
                f"the network {path.name} cannot be read; install her2sr anew"
            ) from exc
        self.digest = hashlib.sha256(content).hexdigest()[:16]
        """Of the file: which network answered."""
        self._session: Any = _session(onnxruntime, content, path.name)

    def predict(self, planes: F32) -> F32:
        """Return the maps of an image from 0 to 1, shape (5, height, width).

        Inside a nucleus; distance to the outline over its largest value in that
        nucleus; near another one; and the ways down and right to the centre of the
        nucleus, which is `frames.REACH_PX` before the pixel at 0, there at 0.5, and as
        far behind at 1.

        Large images are worked on in tiles whose margins the network cannot see
        across, so that the answer is that of the whole image.

        Parameters
        ----------
        planes : float32 array, shape (2, height, width)
            As `frames.planes` makes them.
        """
        height, width = planes.shape[1:]
        wide = _padded(planes)
        found = np.empty((MAPS, *wide.shape[1:]), np.float32)
        for top in range(0, wide.shape[1], TILE_PX):
            for left in range(0, wide.shape[2], TILE_PX):
                self._tile(wide, found, top, left)
        return found[:, :height, :width]

    def _tile(self, wide: F32, found: F32, top: int, left: int) -> None:
        bottom = min(top + TILE_PX, wide.shape[1])
        right = min(left + TILE_PX, wide.shape[2])
        above, before = max(0, top - MARGIN_PX), max(0, left - MARGIN_PX)
        seen = wide[:, above : bottom + MARGIN_PX, before : right + MARGIN_PX]
        (out,) = self._session.run(None, {"planes": np.ascontiguousarray(seen[None])})
        rows = slice(top - above, bottom - above)
        columns = slice(left - before, right - before)
        found[:, top:bottom, left:right] = out[0][:, rows, columns]


def _session(onnxruntime: Any, content: bytes, name: str) -> Any:  # noqa: ANN401 - ships no types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        shapes = [
            put.shape[1] for put in (*session.get_inputs(), *session.get_outputs())
        ]
    except Exception as exc:  # foreign code with a tree of its own
        raise NetworkError(
            f"the network {name} is broken; install her2sr anew"
        ) from exc
    if shapes != [2, MAPS]:
        raise NetworkError(
            f"the network {name} has planes {shapes}, not 2 in and {MAPS} out; "
            f"export it with training.nuclei.export"
        )
    return session


def _padded(planes: F32) -> F32:
    """Return the planes with sides that can be halved three times, mirrored."""
    more = [-side % STEP_PX for side in planes.shape[1:]]
    return np.pad(planes, [(0, 0), (0, more[0]), (0, more[1])], mode="symmetric")
