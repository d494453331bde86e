"""The network in 8-bit integers: three times as fast, and how wrong that makes it.

Static quantization with scales taken from frames of the movie itself (QDQ form, one
scale a channel of a kernel). The first and the last convolution stay in float32: camera
counts in 256 steps would be coarser than their noise, and the two cost next to nothing.
For looking; results are made in float32.
"""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc.denoise.graph import INPUT
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.errors import NetworkError
from her2sr_proc.schema.denoise import Card

F32 = npt.NDArray[np.float32]
U16 = npt.NDArray[np.uint16]

WINDOW_PX = 256
"""Of a frame, from which scales are taken: all activations are kept in memory."""

KEPT_PERCENT = 99.999
"""Of activations are within the scales. The brightest blobs of a burst are 14 times the
rest: scales that held all of them doubled the error of everything else."""


@dataclass(frozen=True, slots=True)
class ShortError:
    """How far 8 bits are from 32, on frames that gave no scales."""

    rms_adu: float
    largest_adu: float
    share_of_removed: float
    """Of the deviation of what float32 takes off."""


def shortened(card: Card, onnx: bytes, frames: Sequence[U16]) -> bytes:
    """Return the weights as 8-bit integers, with scales from these frames.

    ``frames``: uint16, each of shape (height, width), camera counts.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    logging.getLogger().addFilter(_quiet)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),  # the quantizer talks on it
        ):
            warnings.simplefilter("ignore")
            source, target = Path(folder, "32.onnx"), Path(folder, "8.onnx")
            source.write_bytes(onnx)
            quantize_static(
                str(source),
                str(target),
                _Reader(card, frames),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                nodes_to_exclude=_ends(onnx),
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"CalibPercentile": KEPT_PERCENT},
            )
            return target.read_bytes()
    except Exception as exc:  # foreign code with a tree of its own
        raise NetworkError(
            "the network cannot be written in 8-bit integers; leave out --int8"
        ) from exc
    finally:
        logging.getLogger().removeFilter(_quiet)


def error_of(full: Denoiser, short: Denoiser, frames: Sequence[U16]) -> ShortError:
    """Return how far the short network is from the full one."""
    apart, removed = [], []
    for frame in frames:
        light = full(frame)
        apart.append(short(frame) - light)
        removed.append(frame - light)
    off = np.stack(apart).astype(np.float64)
    rms = float(np.sqrt(np.square(off).mean()))
    taken = float(np.std(np.stack(removed), dtype=np.float64))
    return ShortError(
        rms_adu=rms,
        largest_adu=float(np.abs(off).max()),
        share_of_removed=rms / max(taken, 1e-9),
    )


def _ends(onnx: bytes) -> list[str]:
    """Return the names of the first and the last convolution."""
    import onnx as library

    nodes = library.load_from_string(onnx).graph.node
    convolutions = [node.name for node in nodes if node.op_type == "Conv"]
    return [convolutions[0], convolutions[-1]]


class _Reader:
    """Gives the quantizer what it asks for: one feed after the other, then none."""

    def __init__(self, card: Card, frames: Sequence[U16]) -> None:
        self._feeds = self._all(card, frames)

    def get_next(self) -> dict[str, F32] | None:
        return next(self._feeds, None)

    @staticmethod
    def _all(card: Card, frames: Sequence[U16]) -> Iterator[dict[str, F32]]:
        normal, step = card.normalization, card.step_px
        for frame in frames:
            height, width = (min(n, WINDOW_PX) // step * step for n in frame.shape)
            # the brightest part decides the scales, or bright spots would be cut
            at = np.unravel_index(int(frame.argmax()), frame.shape)
            top = int(np.clip(at[0] - height // 2, 0, frame.shape[0] - height))
            left = int(np.clip(at[1] - width // 2, 0, frame.shape[1] - width))
            part = frame[top : top + height, left : left + width]
            seen = (part.astype(np.float64) - normal.mean_adu) / normal.sd_adu
            yield {INPUT: seen.astype(np.float32)[None, None]}


def _quiet(record: logging.LogRecord) -> bool:
    """Drop the quantizer's advice on models of other kinds."""
    return "pre-processing" not in record.getMessage()
