"""The U-Net in PyTorch: the parameters are named arrays, the drawing a function."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nn
from torch import Tensor

from her2sr_proc.denoise import unet
from her2sr_proc.schema.denoise import NetworkForm

F32 = npt.NDArray[np.float32]
MOMENTUM = 0.1
"""Of the running mean and variance."""


class Network:
    """Weights of a network that learns."""

    def __init__(
        self, form: NetworkForm, weights: unet.Weights, *, is_short: bool = False
    ) -> None:
        unet.require_fitting(weights, form)
        self.form = form
        self._is_short = is_short
        self._tensors: dict[str, Tensor] = {
            name: torch.from_numpy(weights[name].copy()) for name in unet.shapes(form)
        }
        for tensor in self.learned().values():
            tensor.requires_grad_(True)

    def learned(self) -> dict[str, Tensor]:
        """Return what an optimizer may change, by name."""
        return {
            name: tensor
            for name, tensor in self._tensors.items()
            if not name.endswith(("/mean", "/variance"))
        }

    def weights(self) -> dict[str, F32]:
        """Return a copy of all weights."""
        return {n: t.detach().numpy().copy() for n, t in self._tensors.items()}

    def forward(self, shown: Tensor, *, is_training: bool) -> Tensor:
        """Return the guesses; both of shape (patches, 1, height, width)."""
        pen = _Pen(self._tensors, self.form, is_training=is_training)
        shown = shown.to(memory_format=torch.channels_last)
        # a context a call: within one, short copies of the weights are kept, and would
        # go stale with the first step
        with torch.autocast("cpu", torch.bfloat16, enabled=self._is_short):
            return unet.draw(pen, shown, self.form).float()


class _Pen:
    def __init__(
        self, tensors: Mapping[str, Tensor], form: NetworkForm, *, is_training: bool
    ) -> None:
        self._tensors = tensors
        self._is_blurred = form.method == "n2v2"
        self._is_training = is_training

    def block(self, name: str, x: Tensor) -> Tensor:
        gamma, beta, mean, variance = (self._tensors[f"{name}/{p}"] for p in unet.NORM)
        x = nn.batch_norm(
            self.head(name, x),
            mean,
            variance,
            gamma,
            beta,
            training=self._is_training,
            momentum=MOMENTUM,
            eps=unet.EPSILON,
        )
        return nn.relu(x, inplace=True)

    def head(self, name: str, x: Tensor) -> Tensor:
        kernel = self._tensors[f"{name}/kernel"]
        bias = self._tensors[f"{name}/bias"]
        return nn.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)

    def halve(self, x: Tensor) -> Tensor:
        if not self._is_blurred:
            return nn.max_pool2d(x, 2)
        x = nn.max_pool2d(nn.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, stride=1)
        channels = x.shape[1]
        blur = torch.from_numpy(unet.BLUR).expand(channels, 1, 3, 3)
        x = nn.pad(x, (1, 1, 1, 1), mode="reflect")
        return nn.conv2d(x, blur, stride=2, groups=channels)

    def double(self, x: Tensor) -> Tensor:
        return nn.interpolate(x, scale_factor=2, mode="nearest")

    def join(self, x: Tensor, kept: Tensor) -> Tensor:
        return torch.cat((x, kept), dim=1)
