"""The service as a process: ``python -m her2sr_acq.service``."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import socket
from threading import Thread

import uvicorn

from her2sr_acq import config as configuration
from her2sr_acq.accounts.clock import utc_now
from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.config_notify import NotifyConfig
from her2sr_acq.control import ControlClient
from her2sr_acq.errors import AcqError
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.notifying.office import Office, outboxes
from her2sr_acq.runtime import PREVIEW, address
from her2sr_acq.service import reviewing
from her2sr_acq.service.app import create_app
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.context import Context
from her2sr_acq.service.gate import Gate
from her2sr_acq.service.live import LivePicture
from her2sr_acq.service.loopback import is_loopback, known_hosts, require_guarded
from her2sr_acq.service.tap import Tap
from her2sr_acq.service.wire import ProblemProtocol
from her2sr_proc import logs
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.store.layout import DataFolder

NOT_STARTED = 3
"""Exit status when the address cannot be had: as uvicorn's own command ends."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m her2sr_acq.service")
    parser.add_argument("--config", help="device configuration: whom to notify")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME")
    return parser.parse_args()


def main() -> int:
    """Serve until told to stop. Returns 2 when the address may not be served."""
    arguments = _arguments()
    data = DataFolder(arguments.data.resolve())
    with ExitStack() as stack:
        try:
            is_alone = is_loopback(arguments.host)
            accounts = stack.enter_context(ServiceDatabase(data.accounts))
            gate = Gate(accounts, now=utc_now, is_loopback=is_alone)
            require_guarded(arguments.host, has_users=gate.people.exist())
            notify = _notify(arguments.config)
            office = Office(
                ControlClient(arguments.runtime),
                outboxes(notify, now=utc_now),
                data.notified,
                low_disk_gb=notify.low_disk_gb,
                now=utc_now,
            )
        except AcqError as exc:
            sys.stderr.write(f"error: {exc}\n")
            return 2
        return _serve(arguments, data, gate, office)


def _serve(
    arguments: argparse.Namespace, data: DataFolder, gate: Gate, office: Office
) -> int:
    logs.start("api")
    end_with_starter()
    context = Context(
        control=ControlClient(arguments.runtime),
        guard=GuardClient(arguments.runtime),
        archive=Archive(data),
        now=utc_now,
        gate=gate,
        live=LivePicture(tap=Tap(address(arguments.runtime, PREVIEW))),
        tallies=office.tallies,
        hosts=known_hosts(arguments.host, arguments.allow_host),
    )
    with office:
        serving = _Serving(
            uvicorn.Config(
                create_app(context),
                host=arguments.host,
                port=arguments.port,
                http=ProblemProtocol,
                log_level="warning",
                log_config=None,  # its lines go where ours go
                server_header=False,
                proxy_headers=False,
                # Above what listeners and pages hold open, or an e-stop finds no place.
                limit_concurrency=500,
                # Without a limit an open page keeps the process from ever ending.
                timeout_graceful_shutdown=2,
            )
        )
        with suppress(KeyboardInterrupt):
            serving.run()
    return 0 if serving.started else NOT_STARTED


class _Serving(uvicorn.Server):
    """Listens first, then loads what reviews and results need.

    Loaded before, it would keep an e-stop without any answer after each restart; left
    to whoever asks first, it would hold up an e-stop in the middle of a day.
    """

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            Thread(target=reviewing.load, name="load-steps").start()


def _notify(name: str | None) -> NotifyConfig:
    """Return whom the device configuration names; without one it is nobody."""
    if name is None:
        return NotifyConfig()
    return configuration.load(configuration.resolve(name)).notify


if __name__ == "__main__":
    sys.exit(main())
