"""Why a run cannot go on before somebody acted, thrown from where that is found."""

from __future__ import annotations

from her2sr_acq.errors import (
    AcqError,
    ConditionError,
    FilterWheelError,
    GuardError,
    InterlockError,
    LatchedError,
    StorageError,
)

HOLDING = (
    ConditionError,
    FilterWheelError,
    GuardError,
    InterlockError,
    LatchedError,
    StorageError,
)
"""Faults of a unit after which the next one would fare no better."""


class HoldError(AcqError):
    """The run is held: it goes on when the cause is mended and somebody resumes it."""

    code = "held"


def hold_for(fault: AcqError) -> HoldError | None:
    """Return the hold that a unit's fault asks for, if it does."""
    if isinstance(fault, HOLDING):
        return HoldError(str(fault), cause=fault.code)
    return None
