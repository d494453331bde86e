"""End a process when the one that started it is gone, however that went.

The starter holds the writing end of our standard input and never writes: its kernel
closes it when it ends, killed or not. Without that, a closed terminal would leave a
microscope running that nobody owns.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

VARIABLE = "HER2SR_LIFELINE"
"""Set by a starter that holds our standard input; without it, nothing is watched."""
STDIN = 0


def end_with_starter(
    *, after_s: float = 0.0, before: Callable[[], None] = lambda: None
) -> None:
    """Ask this process to end, as SIGTERM does, once its starter is gone.

    Parameters
    ----------
    after_s : float
        How long to go on, so that those who need this process end before it.
    before : callable
        Called just before, in a thread of its own: to tell this end from another.
    """
    if os.environ.get(VARIABLE):
        threading.Thread(
            target=_watch, args=(after_s, before), name="lifeline", daemon=True
        ).start()


def _watch(after_s: float, before: Callable[[], None]) -> None:
    while os.read(STDIN, 64):
        continue
    time.sleep(after_s)
    before()
    os.kill(os.getpid(), signal.SIGTERM)
