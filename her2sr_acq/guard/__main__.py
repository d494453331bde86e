"""The guard as a process: ``python -m her2sr_acq.guard``; `her2sr serve` starts it.

Small on purpose: no arrays, no MMCore, no message bus, no web. What could hang or
crash acq is not in here.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from her2sr_acq.errors import AcqError, ConfigError, LightError, RunConflictError
from her2sr_acq.guard.acq import Acq
from her2sr_acq.guard.hold import GUARDED, GuardHold
from her2sr_acq.guard.messages import SOCKET
from her2sr_acq.guard.post import Post
from her2sr_acq.guard.records import Records
from her2sr_acq.guard.settings import read_settings
from her2sr_acq.guard.supervisor import FAULT, UNSAFE, Supervisor
from her2sr_proc import logs
from her2sr_proc.errors import ProcError
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

WRONG_REQUEST = 2
DAEMON = (sys.executable, "-m", "her2sr_acq.daemon")


def main(arguments: Sequence[str] | None = None, *, acq: Sequence[str] = DAEMON) -> int:
    """Guard until SIGTERM or SIGINT; return the exit code."""
    logs.start("guard")
    options = _options(arguments)
    ended, orphaned = threading.Event(), threading.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, lambda *_: ended.set())
    end_with_starter(before=orphaned.set)
    try:
        return _run(options, acq, ended, orphaned)
    except (AcqError, ProcError) as exc:
        log.error("%s", exc)  # noqa: TRY400 - a sentence, not a traceback
        return _exit_code(exc)
    except Exception:
        # Not an exit code: those say what is known of the light. A guard that died is
        # started again, and begins with the proof of darkness.
        log.exception("the guard failed")
        os.abort()


def _run(
    options: argparse.Namespace,
    acq: Sequence[str],
    ended: threading.Event,
    orphaned: threading.Event,
) -> int:
    settings = read_settings(options.runtime)
    data = DataFolder(options.data.resolve())
    command = [*acq, "--config", options.config, "--data", str(data.root)]
    command += ["--runtime", str(options.runtime), GUARDED]
    if options.url:
        command += ["--url", options.url]
    with (
        GuardHold(data.root, options.runtime.absolute()) as hold,
        Post(options.runtime / SOCKET) as post,
    ):
        hold.end_leftover()
        supervisor = Supervisor(
            settings,
            options.runtime,
            post=post,
            records=Records(data),
            acq=Acq(
                command,
                environment=os.environ,
                logs=data.logs,
                note_pid=hold.note_acq,
            ),
        )
        return supervisor.run(ended, orphaned)


def _exit_code(exc: Exception) -> int:
    if isinstance(exc, LightError):
        return UNSAFE
    if isinstance(exc, ConfigError | RunConflictError):
        return WRONG_REQUEST
    return FAULT


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m her2sr_acq.guard",
        description="Owns the hardware process and puts the light out when that fails; "
        "`her2sr serve` starts it.",
        epilog="example: python -m her2sr_acq.guard --config simulated --data data "
        "--runtime /run/user/1000/her2sr",
    )
    parser.add_argument("--config", required=True, help="device configuration, for acq")
    parser.add_argument("--data", required=True, type=Path, help="data folder")
    parser.add_argument("--runtime", required=True, type=Path, help="folder of sockets")
    parser.add_argument("--url", help="address of the web service, told to acq")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
