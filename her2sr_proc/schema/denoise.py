"""What decides a denoising network, and what its card says of it.

The card stands in the model's file, so that a network can be judged without its maker.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen

STEP_PX = 16
"""Sides of what the network sees are multiples of this, as the published models say."""
UNSTATED = "not stated"


class NetworkForm(Frozen):
    """The form of a U-Net of two halvings; its weights fit no other."""

    method: Literal["n2v", "n2v2"] = Field(
        default="n2v",
        description="n2v2: blurred halvings and no connection at the full scale",
    )
    filters: int = Field(
        default=32, ge=4, le=128, description="of the full scale; doubled twice"
    )

    @property
    def halo_px(self) -> int:
        """Return how far around a pixel the network sees; blurring widens it."""
        return 22 if self.method == "n2v" else 28


class TrainParams(Frozen):
    """How a network is trained on the movies that it shall clean."""

    form: NetworkForm = NetworkForm()
    struct: Literal["none", "row", "column"] = Field(
        default="none",
        description="structN2V: noise is taken to be shared along rows or columns",
    )
    struct_px: int = Field(
        default=5, ge=1, le=20, description="hidden on each side of the pixel"
    )
    radius_px: int = Field(
        default=5, ge=1, le=20, description="of the window that replaces a pixel"
    )
    masked_percent: float = Field(default=1.5, ge=0.1, le=5, description="of pixels")
    patch_px: int = Field(default=64, ge=64, le=256, multiple_of=STEP_PX)
    batch: int = Field(default=16, ge=1, le=256)
    steps: int = Field(default=200, ge=1, le=10_000, description="an epoch")
    epochs: int = Field(default=10, ge=1, le=1000)
    learning_rate: float = Field(default=4e-4, gt=0, le=0.1)
    loss: Literal["mse", "mae"] = Field(
        default="mse", description="mse: the mean of the light; mae: its median"
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32",
        description="bf16: activations of 16 bits, twice as fast where the processor "
        "has them (AVX512-BF16, AMX); weights are 32 bits in both",
    )
    frames: int = Field(
        default=300, ge=2, le=100_000, description="taken from all movies together"
    )
    held_out_percent: float = Field(default=10, gt=0, le=50, description="of frames")
    patience: int = Field(
        default=4, ge=1, description="epochs without gain until training ends"
    )
    seed: int = Field(default=2024, ge=0)


PAPER_TRAIN = TrainParams(radius_px=10, batch=64, steps=200, epochs=5)
"""Peg et al. 2024: batch 64, patch 64, radius 10, rate 4e-4, 5 epochs of 200 steps."""


class Normalization(Frozen):
    """What is taken off and divided by before the network, in camera counts."""

    mean_adu: float = Field(ge=-1e6, le=1e6)
    sd_adu: float = Field(gt=0, le=1e6)


class SeenMovie(Frozen):
    """A movie that a network was trained on; by its content, never by its name."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the frames taken")
    shape: tuple[int, int, int]
    frames_taken: int = Field(ge=1)


class Card(Frozen):
    """What is known of a network."""

    version: Literal[1] = 1
    form: NetworkForm = NetworkForm()
    normalization: Normalization
    axes: Literal["bcyx"] = "bcyx"
    halo_px: int = Field(ge=1, le=256)
    minimum_px: int = Field(default=STEP_PX, ge=1)
    step_px: int = Field(default=STEP_PX, ge=1)
    source: Literal["trained", "fiji"]
    training: dict[str, str | int | float | bool | None] = Field(
        default={}, description="parameters and what came of them"
    )
    movies: tuple[SeenMovie, ...] = ()
    made_by: dict[str, str] = Field(default={}, description="versions of packages")
    source_sha256: str | None = Field(
        default=None, description="of the file that it was imported from"
    )
    licence: str = Field(default=UNSTATED, max_length=100)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Denoising(Frozen):
    """``denoising.json``: by which networks frames of a run are cleaned for the fit."""

    version: Literal[1] = 1
    banner: str = BANNER
    models: dict[str, str] = Field(
        min_length=1, description="channel -> SHA-256 of the weights"
    )

    @property
    def digest(self) -> str:
        """Return the name of the models together: others have another one."""
        said = "\n".join(f"{name} {self.models[name]}" for name in sorted(self.models))
        return hashlib.sha256(said.encode()).hexdigest()[:12]
