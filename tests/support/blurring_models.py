"""Models in the form of a denoiser's, whose network is one blurring convolution.

What they take off is known, they cost nothing, and none was trained.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from her2sr_proc.denoise.model import Model, digest, write_model
from her2sr_proc.schema.denoise import Card, Normalization

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIDE = 32


def image(name: str, channels: int):
    shape = ["batch", channels, "height", "width"]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def blurring(centre: float, channels: int = 1) -> bytes:
    """Return a 3 x 3 mean whose middle weighs ``centre``, the rest alike."""
    kernel = np.full((1, channels, 3, 3), (1.0 - centre) / 8.0, np.float32)
    kernel[..., 1, 1] = centre
    node = helper.make_node("Conv", ["input", "kernel"], ["output"], pads=[1] * 4)
    graph = helper.make_graph(
        [node],
        "blur",
        [image("input", channels)],
        [image("output", 1)],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    return bytes(made.SerializeToString())


def write_blurring(
    path: Path, *, centre: float = 0.3, channels: int = 1, minimum_px: int = 16
) -> Path:
    """Write such a model whole."""
    onnx = blurring(centre, channels)
    card = Card(
        normalization=Normalization(mean_adu=300.0, sd_adu=100.0),
        halo_px=4,
        minimum_px=minimum_px,
        source="trained",
        weights_sha256=digest(onnx),
    )
    patch = np.zeros((SIDE, SIDE), np.float32)
    write_model(path, Model(card, onnx, patch, patch), at=NOON)
    return path
