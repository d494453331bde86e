"""Threads that only what is urgent may take: it never waits behind what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

Found = TypeVar("Found")

LANE = CapacityLimiter(4)
"""Beside the threads of all other requests, which pages and scripts may fill."""


async def urgently(work: Callable[..., Found], *given: object) -> Found:
    """Do blocking work in a thread of the lane; raises what it raises."""
    return await to_thread.run_sync(work, *given, limiter=LANE)
