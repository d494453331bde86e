"""What one calibration is asked to do, and what became of it. Values only."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, JsonValue

from her2sr_proc.schema.calibration import CalibrationKind
from her2sr_proc.schema.model import Frozen

ORDER = "calibrate-order.json"
OUTCOME = "calibrate-outcome.json"
PROGRESS = "calibrate-progress.json"
"""Files of the runtime folder, between the command and the guarded process."""


class Order(Frozen):
    """One calibration. What a kind does not use is refused by the command line."""

    kind: CalibrationKind
    operator: str = "operator"
    lines_nm: tuple[int, ...] = Field(default=(), description="none: all lines")
    exposure_ms: float = Field(default=30.0, gt=0, le=10_000)
    percent: float | None = Field(
        default=None, gt=0, le=100, description="none: chosen by a first look"
    )
    dark_frames: int = Field(default=1000, ge=10, le=100_000)
    levels: int = Field(default=20, ge=3, le=100)
    frames: int = Field(default=200, ge=4, le=10_000)
    range_um: float = Field(default=0.9, gt=0.1, le=10)
    step_um: float = Field(default=0.15, gt=0.01, le=5)
    steps: int = Field(default=5, ge=2, le=50, description="powers that are metered")
    seconds: float = Field(default=2.0, gt=0.1, le=120, description="of each of them")


class MeterStep(Frozen):
    """Light of one power, and what a meter said."""

    laser_nm: int
    percent: float
    mw: float | None = Field(default=None, description="none: a person reads it")


class Outcome(Frozen):
    """What the guarded process leaves behind."""

    card: str = Field(default="", description="path of the card; empty: none")
    values: dict[str, JsonValue] = Field(default_factory=dict)
    steps: tuple[MeterStep, ...] = Field(
        default=(), description="that wait for a person's readings"
    )
    fault: str = Field(default="", description="why there is no card, one sentence")
    exit_code: int = 0


class Progress(Frozen):
    """How far it is."""

    doing: str
    done: int
    of: int


def order_path(runtime: Path) -> Path:
    """Return where the order stands."""
    return runtime / ORDER


def outcome_path(runtime: Path) -> Path:
    """Return where the outcome will stand."""
    return runtime / OUTCOME


def progress_path(runtime: Path) -> Path:
    """Return where the progress stands."""
    return runtime / PROGRESS
