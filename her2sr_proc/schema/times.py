"""How long the steps of a computation took."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from her2sr_proc.schema.model import Frozen

StepName = Literal[
    "load",
    "denoise",
    "rolling ball",
    "threshold",
    "detect",
    "fit",
    "ensemble",
    "drift",
    "link",
    "filter",
    "render",
    "mean images",
    "fluctuations",
    "nuclei",
    "count",
    "answer",
]
STEPS: tuple[StepName, ...] = get_args(StepName)
"""In the order of the way from frames to an answer."""


class StepTime(Frozen):
    """One step, summed over all frames and threads."""

    step: StepName
    elapsed_s: float = Field(ge=0, description="by the clock on the wall")
    cpu_s: float = Field(ge=0, description="of a processor; less: it waited")
    calls: int = Field(ge=1, description="frames, blocks or tables it was done to")


class Times(Frozen):
    """``times.json``, beside an answer, which is the same however long it took."""

    version: Literal[1] = 1
    calls: int = Field(ge=1, description="of the command, that have ended")
    jobs: int = Field(ge=1, description="threads of the last one")
    wall_s: float = Field(ge=0, description="of all calls, from order to answer")
    steps: tuple[StepTime, ...] = Field(description="of all calls")


def summed(*parts: tuple[StepTime, ...]) -> tuple[StepTime, ...]:
    """Return the steps of several computations as of one, in the order of `STEPS`."""
    found: dict[str, StepTime] = {}
    for one in (step for part in parts for step in part):
        had = found.get(one.step)
        found[one.step] = one if had is None else _both(had, one)
    return tuple(found[name] for name in STEPS if name in found)


def _both(one: StepTime, other: StepTime) -> StepTime:
    return StepTime(
        step=one.step,
        elapsed_s=one.elapsed_s + other.elapsed_s,
        cpu_s=one.cpu_s + other.cpu_s,
        calls=one.calls + other.calls,
    )
