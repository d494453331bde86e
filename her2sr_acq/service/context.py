"""What every route is given: the hardware process, the disk, the clock, the gate."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from her2sr_acq.accounts.clock import utc_now
from her2sr_acq.notifying.post import Tally
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.brief import Brief
from her2sr_acq.service.feed import Feed
from her2sr_acq.service.gate import Gate
from her2sr_acq.service.growing import Growing
from her2sr_acq.service.live import LivePicture
from her2sr_acq.service.loopback import HOSTS
from her2sr_acq.service.ports import Control, Guard

METRICS_S = 1.0
"""Units of a large run are many, and scrapers ask every few seconds."""


def _random_seed() -> int:
    return secrets.randbits(63)


def _nobody_told() -> Sequence[Tally]:
    return ()


@dataclass(frozen=True, slots=True)
class Context:
    """Everything the service works with, made once at start."""

    control: Control
    guard: Guard
    archive: Archive
    now: Callable[[], datetime]
    """Aware UTC."""
    gate: Gate = field(default_factory=lambda: Gate.open_to_all(now=utc_now))
    feed: Feed = field(default_factory=Feed)
    live: LivePicture = field(default_factory=LivePicture)
    growing: Growing = field(default_factory=Growing)
    metrics: Brief = field(default_factory=lambda: Brief(METRICS_S))
    tallies: Callable[[], Sequence[Tally]] = _nobody_told
    """Of the notices to each target."""
    hosts: frozenset[str] = HOSTS
    """Names that a Host header may have."""
    doctor: threading.Lock = field(default_factory=threading.Lock)
    """Held while everything is examined: one look at a time."""
    seed: Callable[[], int] = _random_seed
    """Of the random order of a blind reading, 0 to 2^63 - 1."""


async def _context(request: Request) -> Context:  # async: it needs no thread
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(_context)]
