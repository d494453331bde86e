"""Errors as exit codes: 1 a fault in the work, 2 a wrong request, 3 unsafe."""

from __future__ import annotations

from her2sr_acq.errors import (
    AccessError,
    AcqError,
    ConfigError,
    LatchedError,
    LightError,
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
)
from her2sr_proc.errors import ProcError

FAULT, REQUEST, UNSAFE = 1, 2, 3
_UNSAFE = (LightError, LatchedError)
_REQUESTS = (
    AccessError,
    ConfigError,
    PlanRejectedError,
    RunConflictError,
    RunNotFoundError,
)


def exit_code(error: AcqError | ProcError) -> int:
    """Return what the command ends with."""
    if isinstance(error, ProcError):
        return REQUEST if error.is_request else FAULT
    if isinstance(error, _UNSAFE):
        return UNSAFE
    return REQUEST if isinstance(error, _REQUESTS) else FAULT


def sentence(error: Exception) -> str:
    """Return the error as one line."""
    return " ".join(str(error).split())
