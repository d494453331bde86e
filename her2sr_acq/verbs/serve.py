"""``her2sr serve``: the processes of one microscope, until told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from her2sr_acq.launcher import NAMES, Launcher
from her2sr_acq.notify import Notifier
from her2sr_acq.service.loopback import require_loopback
from her2sr_acq.verbs.foresight import require_writable


def serve(
    config: Path,
    data: Path,
    *,
    host: str,
    port: int,
    only: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Start the processes and return after SIGTERM or Ctrl-C, with all of them ended.

    The service manager, if there is one, is told when all of it answers, that it lives,
    and that it ends.

    Raises `ConfigError` for an address that others could reach or a folder that cannot
    be written, `ServiceUnavailableError` when one of the processes has failed for good.
    """
    require_loopback(host)
    require_writable(data)
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    with Launcher(
        config, data, host=host, port=port, only=tuple(only) or NAMES
    ) as launcher:
        answers = f"answers at {launcher.url}" if not only or "api" in only else "runs"
        say(f"{_parts(only)} for {data} {answers} (Ctrl-C ends it)")
        notifier = Notifier.from_environment()
        notifier.say("READY=1", f"STATUS={answers}")
        launcher.wait(ended, alive=partial(notifier.say, "WATCHDOG=1"))
        notifier.say("STOPPING=1")
    say("her2sr has ended")


def _parts(only: Sequence[str]) -> str:
    return " and ".join(only) if only else "her2sr"
