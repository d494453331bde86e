"""How many frames of a unit can be read back, and the verdict that follows. No devices.

A frame counts as written when its block's bytes on disk have the checksum that the
ledger holds. Nothing is concluded from the shape of an array.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from her2sr_acq.errors import AcqError
from her2sr_proc.errors import DataError
from her2sr_proc.schema.ledger import BlockRecord, UnitState
from her2sr_proc.store import raw

TOLERATED_LOSS = 0.001
"""Part of a burst that may be missing between frames before it is called partial."""


@dataclass(frozen=True, slots=True)
class Readable:
    """What of a unit can be read back."""

    frames: int
    fault: str = ""
    """The first block that cannot be, if there is one."""


def reread(path: Path, records: Iterable[BlockRecord]) -> Readable:
    """Read every block of a unit and compare its checksum."""
    frames, fault, room = 0, "", raw.BlockRoom()
    for record in records:
        try:
            frames += len(raw.read_block(path, record, room))
        except (DataError, OSError, ValueError, RuntimeError) as exc:
            fault = fault or str(exc)
    return Readable(frames, fault)


@dataclass(frozen=True, slots=True)
class Taps:
    """Frames of one unit at every tap up to the disk."""

    requested: int
    delivered: int
    written: int
    lost_between: int = 0
    """Frames missing between delivered ones, by the camera's count or clock."""
    suspected: int = 0
    """Frames that seem to be missing by the times of arrival alone."""

    @property
    def lost(self) -> int:
        """Frames missing in time, known or suspected."""
        return max(self.lost_between, self.suspected)


def verdict(
    taps: Taps, *, fault: AcqError | None, stopped: bool
) -> tuple[UnitState, str]:
    """Return the state of a unit that has ended, and the reason."""
    causes = [str(fault)] if fault else []
    if stopped:
        causes.append(f"stopped after {taps.delivered} frames")
    if taps.lost_between:
        causes.append(f"{taps.lost_between} frames are missing between those delivered")
    if taps.suspected:
        causes.append(
            f"the burst took as long as {taps.suspected} more frames would; the camera "
            f"gives no stamps, so which are missing is not known"
        )
    whole = taps.requested == taps.delivered == taps.written
    if whole and taps.lost <= TOLERATED_LOSS * taps.requested:
        return UnitState.COMPLETE, "; ".join(causes)
    causes.append(f"{taps.written} of {taps.requested} frames are kept")
    state = UnitState.PARTIAL if taps.written else UnitState.FAILED
    return state, "; ".join(causes)
