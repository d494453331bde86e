"""Which fields of a run were left out by a choice, and so are missed by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from her2sr_acq.errors import AcqError
from her2sr_proc.errors import ProcError
from her2sr_proc.store.manifest import read_manifest

if TYPE_CHECKING:
    from her2sr_acq.service.context import Context

FIRST = 1
"""A further attempt was asked for, whatever was chosen before."""


def left_out(context: Context, run_id: str) -> frozenset[str]:
    """Return the fields that a choice left out; none where nothing was chosen."""
    try:
        selection = read_manifest(context.archive.folder(run_id)).selection
    except (AcqError, ProcError, OSError, ValidationError):
        return frozenset()
    return frozenset(selection.skipped) if selection else frozenset()


def is_left_out(field: str, state: str, attempt: int, fields: frozenset[str]) -> bool:
    """Return whether a burst was not taken because of a choice."""
    return field in fields and state == "skipped" and attempt == FIRST
