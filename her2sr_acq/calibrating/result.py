"""What a measurement hands back, before it has a date and a place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from pydantic import JsonValue

from her2sr_acq.calibrating.order import MeterStep
from her2sr_proc.schema.calibration import Registration


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers, arrays, and what waits for a person."""

    values: dict[str, JsonValue]
    arrays: Mapping[str, npt.NDArray[Any]] | None = None
    registration: Registration | None = None
    steps: tuple[MeterStep, ...] = ()
