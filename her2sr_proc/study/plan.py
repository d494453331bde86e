"""Which samples a study in silico has: kinds, seeds and places, drawn from one seed.

Knows the names of the simulator's kinds and nothing of what they hold.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from her2sr_proc.schema.model import Frozen

BURST_FRAMES = 5000
"""Frames of a burst in the paper; shorter ones span the same decay."""
NEGATIVE, POSITIVE = 9, 5
"""Of the paper's fourteen."""
ALWAYS: dict[str, tuple[str, ...]] = {
    "negative": ("normal", "monosomic", "doublet_rich", "badly_cut"),
    "positive": ("clustered", "high_amplified"),
}
"""Kinds that a study holds as far as it has samples; first the first."""
DRAWN: dict[str, dict[str, float]] = {
    "negative": {
        "normal": 0.4,
        "monosomic": 0.2,
        "doublet_rich": 0.2,
        "polysomic": 0.2,
    },
    "positive": {
        "demo": 0.3,
        "clustered": 0.3,
        "high_amplified": 0.25,
        "low_amplified": 0.15,
    },
}
"""Chances of the kinds of all other samples."""
IHC: dict[str, tuple[int, ...]] = {
    "low_amplified": (2, 3),
    "demo": (3, 3, 2),
    "clustered": (3,),
    "high_amplified": (3,),
    "polysomic": (1, 2),
}
"""Simulated immunohistochemistry, one of these; every other kind: 0, 1, 1 or 1."""
SPACING_X_UM, SPACING_Y_UM = 845.0, 731.0
"""Sections lie so far apart that no light of one reaches another."""
COLUMNS = 10
MOST_SAMPLES = 140

Status = Literal["negative", "positive"]


class StudyOptions(Frozen):
    """What was asked for; a study that goes on must have been asked for the same."""

    samples: int = Field(default=14, ge=2, le=MOST_SAMPLES)
    seed: int = Field(default=14, ge=0, lt=2**63)
    rows: int = Field(default=3, ge=1, le=10)
    columns: int = Field(default=3, ge=1, le=10)
    size_px: int = Field(default=384, ge=64, le=2048)
    frames: int = Field(default=400, ge=40, le=BURST_FRAMES)
    nuclei_frames: int = Field(default=100, ge=10, le=5000)
    section_um: float = Field(default=3.0, gt=0, le=20)

    @property
    def compression(self) -> float:
        """How much faster the dyes bleach, so that a burst spans the paper's decay."""
        return BURST_FRAMES / self.frames


class SamplePlan(Frozen):
    """One sample: its kind is known to the simulator and to the comparison alone."""

    name: str
    kind: str
    status: Status = Field(description="of the simulated routine diagnosis: its kind's")
    ihc: Literal[0, 1, 2, 3] = Field(description="simulated, drawn by kind")
    seed: int = Field(description="of its nuclei and loci")
    x_um: float
    y_um: float


class StudyPlan(Frozen):
    """``study.json``: what is simulated."""

    version: Literal[1] = 1
    options: StudyOptions
    samples: tuple[SamplePlan, ...]


def draw_plan(options: StudyOptions) -> StudyPlan:
    """Return the samples of a study; everything follows from the options.

    Nine of fourteen are negative, as in the paper; their order is drawn, too.
    """
    generator = np.random.default_rng([options.seed, options.samples])
    negative = round(options.samples * NEGATIVE / (NEGATIVE + POSITIVE))
    negative = min(max(negative, 1), options.samples - 1)
    drawn = [
        *_kinds("negative", negative, generator),
        *_kinds("positive", options.samples - negative, generator),
    ]
    order = generator.permutation(options.samples)
    width = len(str(options.samples))
    return StudyPlan(
        options=options,
        samples=tuple(
            _sample(f"s{place + 1:0{width}d}", place, drawn[which], generator)
            for place, which in enumerate(order.tolist())
        ),
    )


def _kinds(
    status: Status, count: int, generator: np.random.Generator
) -> list[tuple[Status, str]]:
    sure = ALWAYS[status][:count]
    chances = DRAWN[status]
    rest = generator.choice(
        list(chances), size=count - len(sure), p=list(chances.values())
    )
    return [(status, str(kind)) for kind in (*sure, *rest.tolist())]


def _sample(
    name: str,
    place: int,
    drawn: tuple[Status, str],
    generator: np.random.Generator,
) -> SamplePlan:
    status, kind = drawn
    row, column = divmod(place, COLUMNS)
    return SamplePlan.model_validate(
        {
            "name": name,
            "kind": kind,
            "status": status,
            "ihc": int(generator.choice(IHC.get(kind, (0, 1, 1, 1)))),
            "seed": int(generator.integers(2**31)),
            "x_um": (column - (COLUMNS - 1) / 2) * SPACING_X_UM,
            "y_um": (row - 5) * SPACING_Y_UM,
        }
    )


def preamble(plan: StudyPlan) -> tuple[str, ...]:
    """Return what must be known of a study before its numbers."""
    options = plan.options
    return (
        f"{options.samples} simulated samples, seed {options.seed}, "
        f"{options.section_um:g} um thick: {options.rows} x {options.columns} fields "
        f"of {options.size_px} px, {options.frames} frames a colour instead of "
        f"{BURST_FRAMES}",
        f"the dyes bleach {options.compression:.1f} times faster, so that a burst "
        f"spans the paper's decay; single blinks keep their length",
    )
