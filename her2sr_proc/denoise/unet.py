"""The U-Net of Noise2Void, said once and drawn by whoever can draw it.

Knows the order of layers and their names, which are those of the published models;
neither PyTorch nor ONNX. Source: Krull et al. 2019, doi:10.1109/CVPR.2019.00223; the
form n2v2: Höck et al. 2022, doi:10.1007/978-3-031-25069-9_33.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import ModelError
from her2sr_proc.schema.denoise import NetworkForm

F32 = npt.NDArray[np.float32]
Weights = Mapping[str, F32]
"""By name: ``LAYER/kernel`` (out, in, 3, 3), ``LAYER/bias``; of all but the head also
``LAYER/gamma``, ``beta``, ``mean``, ``variance``, each of shape (out,)."""

DEPTH = 2
EPSILON = 1e-3
"""Of the batch norms, as in Keras; PyTorch's 1e-5 would be another network."""
HEAD = "conv2d_1"
BLUR = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16
"""Of the halvings of n2v2."""
NORM = ("gamma", "beta", "mean", "variance")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution; all but the head are followed by a norm and a rectifier."""

    name: str
    inputs: int
    outputs: int
    kernel: int = 3


class Drawing(Protocol[T]):
    """What a library must be able to do with a picture of it."""

    def block(self, name: str, x: T) -> T:
        """Convolve, normalize, rectify."""
        ...

    def head(self, name: str, x: T) -> T:
        """Convolve alone."""
        ...

    def halve(self, x: T) -> T:
        """Keep the largest of four; of a blurred picture for n2v2."""
        ...

    def double(self, x: T) -> T:
        """Repeat every pixel."""
        ...

    def join(self, x: T, kept: T) -> T:
        """Stack the channels, ``x`` first."""
        ...


def draw(pen: Drawing[T], x: T, form: NetworkForm) -> T:
    """Return what the network makes of ``x``, in the terms of ``pen``."""
    kept = []
    for level in range(DEPTH):
        for number in (0, 1):
            x = pen.block(f"down_level_{level}_no_{number}", x)
        kept.append(x)
        x = pen.halve(x)
    for number in (0, 2):
        x = pen.block(f"middle_{number}", x)
    for level in reversed(range(DEPTH)):
        x = pen.double(x)
        if _joins(form, level):
            x = pen.join(x, kept[level])
        for number in (0, 2):
            x = pen.block(f"up_level_{level}_no_{number}", x)
    return pen.head(HEAD, x)


def layers(form: NetworkForm) -> Iterator[Layer]:
    """Yield the convolutions in the order in which they are drawn."""
    base, inputs = form.filters, 1
    for level in range(DEPTH):
        outputs = base << level
        yield Layer(f"down_level_{level}_no_0", inputs, outputs)
        yield Layer(f"down_level_{level}_no_1", outputs, outputs)
        inputs = outputs
    yield Layer("middle_0", inputs, 2 * inputs)
    yield Layer("middle_2", 2 * inputs, inputs)
    for level in reversed(range(DEPTH)):
        side = base << level
        yield Layer(f"up_level_{level}_no_0", inputs + side * _joins(form, level), side)
        inputs = max(side // 2, base)
        yield Layer(f"up_level_{level}_no_2", side, inputs)
    yield Layer(HEAD, inputs, 1, kernel=1)


def shapes(form: NetworkForm) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight by its name."""
    found: dict[str, tuple[int, ...]] = {}
    for layer in layers(form):
        side = layer.kernel
        found[f"{layer.name}/kernel"] = (layer.outputs, layer.inputs, side, side)
        found[f"{layer.name}/bias"] = (layer.outputs,)
        for part in NORM if layer.name != HEAD else ():
            found[f"{layer.name}/{part}"] = (layer.outputs,)
    return found


def require_fitting(weights: Weights, form: NetworkForm) -> None:
    """Raise `ModelError` unless the weights are those of a network of this form."""
    for name, shape in shapes(form).items():
        if name not in weights:
            raise ModelError(f"the model lacks the weights {name}; export it again")
        found = weights[name]
        if found.shape != shape:
            raise ModelError(
                f"the weights {name} have shape {found.shape}, not {shape}: the model "
                f"is of another size than the U-Net with 2 halvings and "
                f"{form.filters} filters that is read here"
            )
        is_variance = name.endswith("/variance")
        if not np.isfinite(found).all() or (is_variance and (found < 0).any()):
            raise ModelError(
                f"the weights {name} hold impossible numbers; export the model again"
            )


def folded(weights: Weights, name: str) -> tuple[F32, F32]:
    """Return kernel and bias of a layer with its batch norm folded in."""
    kernel = weights[f"{name}/kernel"].astype(np.float64)
    bias = weights[f"{name}/bias"].astype(np.float64)
    if name != HEAD:
        gamma, beta, mean, variance = (
            weights[f"{name}/{part}"].astype(np.float64) for part in NORM
        )
        gain = gamma / np.sqrt(variance + EPSILON)
        kernel = kernel * gain[:, None, None, None]
        bias = (bias - mean) * gain + beta
    return kernel.astype(np.float32), bias.astype(np.float32)


def fresh(form: NetworkForm, rng: np.random.Generator) -> dict[str, F32]:
    """Return weights to begin with (He et al. 2015, doi:10.1109/ICCV.2015.123)."""
    start = {"gamma": 1.0, "variance": 1.0}
    found: dict[str, F32] = {}
    for name, shape in shapes(form).items():
        part = name.rsplit("/", 1)[1]
        if part == "kernel":
            spread = np.sqrt(2.0 / np.prod(shape[1:]))
            found[name] = rng.normal(0.0, spread, shape).astype(np.float32)
        else:
            found[name] = np.full(shape, start.get(part, 0.0), np.float32)
    return found


def _joins(form: NetworkForm, level: int) -> bool:
    return level > 0 or form.method == "n2v"
