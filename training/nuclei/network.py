"""The network as PyTorch sees it: a plain U-Net of four levels."""

from __future__ import annotations

import itertools

import torch
from torch import nn

CHANNELS = (16, 32, 64, 96)
"""By level; each level halves the resolution."""
INPUTS, OUTPUTS = 2, 5
WAY_WEIGHT = 6.0
"""Of the way to the centre in the loss: its differences are small numbers."""


class UNet(nn.Module):
    """Two planes of an image in; logits of five maps out (`examples.targets`)."""

    def __init__(self) -> None:
        super().__init__()
        down = itertools.pairwise((INPUTS, *CHANNELS))
        self.down = nn.ModuleList([_block(a, b) for a, b in down])
        up = itertools.pairwise(CHANNELS)
        self.up = nn.ModuleList([_block(a + b, a) for a, b in up])
        self.head = nn.Conv2d(CHANNELS[0], OUTPUTS, 1)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (images, 5, height, width); sides divisible by 8."""
        kept, x = [], planes
        for level, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if level else x)
            kept.append(x)
        for level in reversed(range(len(self.up))):
            wide = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.up[level](torch.cat([kept[level], wide], 1))
        out: torch.Tensor = self.head(x)
        return out


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (inputs, outputs):
        layers += [
            nn.Conv2d(source, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def loss_of(logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the loss of one batch.

    Cross-entropy and overlap of the foreground, cross-entropy of the depth as a soft
    label, and of the contacts, which are few and weigh more; for the way to the centre
    the absolute difference, whose optimum is one nucleus or the other and not the point
    between both, inside nuclei only.
    """
    entropy = nn.functional.binary_cross_entropy_with_logits
    foreground, depth, contact = logits[:, :3].unbind(1)
    inside, deep, touching = wanted[:, :3].unbind(1)
    chance = torch.sigmoid(foreground)
    shared = 2 * (chance * inside).sum() + 1
    overlap = 1 - shared / (chance.sum() + inside.sum() + 1)
    weight = 1 + 4 * touching
    astray = (torch.sigmoid(logits[:, 3:]) - wanted[:, 3:]).abs().sum(1)
    return (
        entropy(foreground, inside, weight=weight)
        + overlap
        + 2 * entropy(depth, deep, weight=weight)
        + entropy(contact, touching, weight=1 + 9 * touching)
        + WAY_WEIGHT * (astray * weight * inside).sum() / (inside.sum() + 1)
    )


def widened(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a network of fewer outputs, with small ones for the rest.

    A training then starts where an earlier one of the same trunk ended.
    """
    fresh = UNet().state_dict()
    for name in ("head.weight", "head.bias"):
        new = fresh[name] * 0.1
        new[: len(state[name])] = state[name][:OUTPUTS]
        state = state | {name: new}
    return state
