"""A run that was accepted: who wants what, where, under which name. Immutable."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import FieldView, RunRequest, RunView, UnitView
from her2sr_acq.plan.models import Channel, Protocol
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.model import Frozen

STAMP = "%Y%m%dT%H%M%S"
_STAMPED = re.compile(r"\d{8}T\d{6}")
SET_BACK = timedelta(days=1)
"""A name further ahead than this is of a clock that was wrong, and not followed."""


def run_id(now: datetime, token: Callable[[int], str], *, newest: str = "") -> str:
    """Return a name that sorts by time, such as ``20261123T221859-3fa0``.

    Names are the order of runs and of the queue. Within the second of the ``newest``
    run, or after a clock that was set back, it is a second past that one, so that it
    sorts behind it all the same.
    """
    stamp = f"{now:{STAMP}}"
    last = newest.partition("-")[0]
    if _STAMPED.fullmatch(last) and stamp <= last <= f"{now + SET_BACK:{STAMP}}":
        later = datetime.strptime(last, STAMP).replace(tzinfo=UTC)
        stamp = f"{later + timedelta(seconds=1):{STAMP}}"
    return f"{stamp}-{token(2)}"


def request_digest(request: RunRequest) -> str:
    """Return the SHA-256 by which two requests are told apart."""
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class RunOrder(Frozen):
    """One accepted run. Its tiles stand in order of acquisition."""

    id: str
    request: RunRequest
    protocol: Protocol
    tiles: tuple[FieldFacts, ...]
    created_utc: str
    idempotency_key: str | None = None
    lit_by: str = ""
    """The run that had the stage when this one was queued for where it stands."""

    def channel(self, name: str) -> Channel:
        """Return a channel by its name. Raises KeyError when there is none."""
        for channel in self.protocol.channels:
            if channel.name == name:
                return channel
        raise KeyError(name)

    def view(self) -> RunView:
        """Return the run as it stands at the moment of acceptance."""
        frames = sum(channel.frames for channel in self.protocol.channels)
        return RunView(
            id=self.id,
            state=RunState.QUEUED,
            phase="waiting to start",
            protocol=self.protocol.name,
            sample=self.request.sample,
            operator=self.request.operator,
            created_utc=self.created_utc,
            not_before_utc=self.request.not_before_utc,
            frames_requested=frames * len(self.tiles),
            units_total=len(self.protocol.channels) * len(self.tiles),
            folder=self.id,
        )

    def fields(self) -> tuple[FieldView, ...]:
        """Return every field with its units, all of them planned."""
        return tuple(
            FieldView(
                **tile.model_dump(),
                units=tuple(
                    UnitView(
                        field=tile.name,
                        channel=channel.name,
                        attempt=1,
                        state=UnitState.PLANNED,
                        requested=channel.frames,
                    )
                    for channel in self.protocol.channels
                ),
            )
            for tile in self.tiles
        )
