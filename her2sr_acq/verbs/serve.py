"""``her2sr serve``: the processes of one microscope, until told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from her2sr_acq.launcher import NAMES, Launcher
from her2sr_acq.notify import Notifier
from her2sr_acq.plan.foresight import require_writable
from her2sr_acq.service.loopback import require_guarded
from her2sr_acq.verbs.users import has_users

EXTENDED_S = 60
"""By so much a service manager is to wait longer, at every word of a long start."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the web service listens, and by which further names it answers."""

    host: str
    port: int
    allow_hosts: tuple[str, ...] = ()


def serve(
    config: Path,
    data: Path,
    listen: Listen,
    *,
    only: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Start the processes and return after SIGTERM or Ctrl-C, with all of them ended.

    The service manager, if there is one, is told when all of it answers, that it lives,
    and that it ends.

    Raises `ConfigError` for an address that others could reach or a folder that cannot
    be written, `ServiceUnavailableError` when one of the processes has failed for good.
    """
    require_writable(data)
    require_guarded(listen.host, has_users=has_users(data))
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    notifier = Notifier.from_environment()
    with Launcher(
        config,
        data,
        host=listen.host,
        port=listen.port,
        only=tuple(only) or NAMES,
        allow_hosts=listen.allow_hosts,
        tell=partial(_tell_waiting, say, notifier),
    ) as launcher:
        answers = f"answers at {launcher.url}" if not only or "api" in only else "runs"
        say(f"{_parts(only)} for {data} {answers} (Ctrl-C ends it)")
        notifier.say("READY=1", f"STATUS={answers}")
        launcher.wait(ended, alive=partial(notifier.say, "WATCHDOG=1"))
        notifier.say("STOPPING=1")
    say("her2sr has ended")


def _tell_waiting(say: Callable[[str], None], notifier: Notifier, words: str) -> None:
    """Tell what a long start waits for; a service manager gives it more time."""
    say(words)
    notifier.say(f"EXTEND_TIMEOUT_USEC={EXTENDED_S * 1_000_000}", f"STATUS={words}")


def _parts(only: Sequence[str]) -> str:
    return " and ".join(only) if only else "her2sr"
