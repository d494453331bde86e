"""Frames in, frames with less noise out: the network on onnxruntime, tile by tile.

One thread a frame, so that a result does not depend on the machine's cores; frames may
be worked on side by side. Knows neither files nor movies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from her2sr_proc.denoise.graph import INPUT
from her2sr_proc.errors import ModelError, RequestError
from her2sr_proc.schema.denoise import Card

F32 = npt.NDArray[np.float32]
Frame = npt.NDArray[np.uint16] | F32

TILE_PX = 512
"""A larger one saves margins and costs memory: 0.4 GB at this size."""
LARGEST_HALVING = 4
"""Tiles start and end at multiples of this, or the network would see other pairs."""


class Denoiser:
    """A network that is ready. Safe to call from several threads.

    Raises `ModelError` when the weights are not what the card says.
    """

    def __init__(self, card: Card, onnx: bytes, *, tile_px: int = TILE_PX) -> None:
        if tile_px < card.step_px or tile_px % card.step_px:
            raise RequestError(
                f"tiles of {tile_px} pixels do not suit the model; use a multiple of "
                f"{card.step_px}"
            )
        self.card = card
        self._tile_px = tile_px
        self.margin_px = -(-card.halo_px // LARGEST_HALVING) * LARGEST_HALVING
        """Of a tile; the published halo of 22 misses one pixel that some see."""
        self._session = _session(onnx)

    def __call__(self, adu: Frame) -> F32:
        """Return a frame in ADU with less noise, of the same shape.

        Parameters
        ----------
        adu : uint16 or float32 array, shape (height, width)
            Camera counts; neither side below the card's minimum.
        """
        self.require_room(adu.shape)
        normal, step = self.card.normalization, self.card.step_px
        seen = (adu.astype(np.float64) - normal.mean_adu) / normal.sd_adu
        more = [(0, -side % step) for side in adu.shape]
        wide = np.pad(seen.astype(np.float32), more, mode="symmetric")
        found = np.empty(wide.shape, np.float32)
        for top in range(0, wide.shape[0], self._tile_px):
            for left in range(0, wide.shape[1], self._tile_px):
                self._tile(wide, found, top, left)
        found = found[: adu.shape[0], : adu.shape[1]]
        light = found.astype(np.float64) * normal.sd_adu + normal.mean_adu
        return np.asarray(light, np.float32)

    def require_room(self, shape: tuple[int, ...]) -> None:
        """Raise `RequestError` for frames that are smaller than the model's least."""
        least = self.card.minimum_px
        if len(shape) != 2 or min(shape) < least:
            sides = " x ".join(map(str, shape))
            raise RequestError(
                f"frames of {sides} pixels are smaller than the {least} x {least} that "
                f"the model needs; give the whole frames"
            )

    def _tile(self, wide: F32, found: F32, top: int, left: int) -> None:
        margin = self.margin_px
        bottom = min(top + self._tile_px, wide.shape[0])
        right = min(left + self._tile_px, wide.shape[1])
        above, before = max(0, top - margin), max(0, left - margin)
        seen = wide[above : bottom + margin, before : right + margin]
        feed = {INPUT: np.ascontiguousarray(seen[None, None])}
        (out,) = self._session.run(None, feed)
        rows = slice(top - above, bottom - above)
        columns = slice(left - before, right - before)
        found[top:bottom, left:right] = out[0, 0, rows, columns]


def _session(onnx: bytes) -> Any:  # noqa: ANN401 - ships no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            onnx, options, providers=["CPUExecutionProvider"]
        )
        puts = (*session.get_inputs(), *session.get_outputs())
        forms = [(put.type, put.shape[1], len(put.shape)) for put in puts]
    except Exception as exc:  # foreign code with a tree of its own
        raise ModelError(
            "the model's weights cannot be run; export or train the model again"
        ) from exc
    if forms != [("tensor(float)", 1, 4)] * 2 or puts[0].name != INPUT:
        raise ModelError(
            "the model's weights do not take and give one float32 channel with the "
            "axes batch, channel, y, x; train it here or import it from Fiji"
        )
    return session
