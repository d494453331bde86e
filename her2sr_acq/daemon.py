"""The hardware process: composition root of devices, engine, bus and control socket.

It owns a data folder and a microscope from its first line to its last, proves the light
off before it listens and after it has stopped, and ends within seconds when asked to.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from her2sr_acq import config as configuration
from her2sr_acq.config import DeviceConfig
from her2sr_acq.control_server import ControlServer
from her2sr_acq.devices.ports import Hardware
from her2sr_acq.engine.boot import boot_name
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.desk import Desk
from her2sr_acq.engine.diskroom import DiskRoom
from her2sr_acq.engine.processing import Processing
from her2sr_acq.engine.rebuild import rebuild
from her2sr_acq.engine.recovery import recover
from her2sr_acq.engine.safety import Safety
from her2sr_acq.engine.scheduler import Scheduler
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.truth import truth_source
from her2sr_acq.engine.views import RunView
from her2sr_acq.engine.worker import Worker
from her2sr_acq.errors import (
    AcqError,
    ConfigError,
    DeviceError,
    LightError,
    RunConflictError,
)
from her2sr_acq.guard.link import GuardLink
from her2sr_acq.guard.ports import LightGuard, Unguarded
from her2sr_acq.ownership import Hold, Holder
from her2sr_acq.runtime import CONTROL, FRAMES, LOCALIZER, PREVIEW, address
from her2sr_acq.stream.preview import Preview
from her2sr_acq.stream.publisher import Publisher
from her2sr_acq.stream.sink import WriteBlock
from her2sr_proc import logs
from her2sr_proc.errors import ProcError
from her2sr_proc.lifeline import end_with_starter
from her2sr_proc.memory import keep_freed_memory
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

OpenHardware = Callable[[DeviceConfig, Path], Hardware]
"""Opens the devices of a configuration that was read from a path."""

ENGINE_END_S = 6.0
"""To finish a block, write it and read the unit back; then the process insists."""
LOOK_S = 0.5
"""At least so often the main thread wakes, which alone takes signals."""
DONE, FAULT, WRONG_REQUEST, UNSAFE = 0, 1, 2, 3


def main(
    arguments: Sequence[str] | None = None, open_hardware: OpenHardware | None = None
) -> int:
    """Run the hardware process until SIGTERM or SIGINT; return its exit code."""
    logs.start("acq")
    options = _options(arguments)
    keep_freed_memory()
    ended = threading.Event()
    orphaned = threading.Event()
    with _ending_on_signals(ended):
        end_with_starter(before=orphaned.set)
        try:
            ends = Ends(ended, orphaned)
            return _run(options, open_hardware or _real_hardware, ends)
        except (AcqError, ProcError) as exc:
            log.error("%s", exc)  # noqa: TRY400 - a sentence, not a traceback
            return _exit_code(exc)


def _run(options: argparse.Namespace, open_hardware: OpenHardware, ends: Ends) -> int:
    path = configuration.resolve(options.config)
    config = configuration.load(path)
    clock = Clock()
    data = DataFolder(options.data.resolve())
    data.runs.mkdir(parents=True, exist_ok=True)
    holder = Holder(
        pid=os.getpid(),
        started_utc=clock.stamp(),
        configuration=config.name,
        runtime=str(options.runtime),
        url=options.url,
    )
    with ExitStack() as stack:
        stack.enter_context(Hold(data.root, holder))
        guard = stack.enter_context(_guard(options))
        hardware = stack.enter_context(_opened(open_hardware, config, path))
        safety = stack.enter_context(Safety(hardware, guard, clock=clock.monotonic))
        guard.on_dark(safety.order_dark)
        room = stack.enter_context(DiskRoom(data, config.storage))
        database = stack.enter_context(Database(data.database))
        left = _restore(database, data, clock)
        publisher = stack.enter_context(Publisher(address(options.runtime, FRAMES)))
        preview = stack.enter_context(Preview(address(options.runtime, PREVIEW)))
        localizer = address(options.runtime, LOCALIZER)
        station = Station(
            hardware=hardware,
            config=config,
            config_sha256=configuration.digest(path),
            data=data,
            database=database,
            publish=publisher.publish,
            show=preview.show,
            processing=lambda: Processing(localizer, clock),
            clock=clock,
            guard=guard,
            safety=safety,
            room=room,
            boot=boot_name(),
            truth=truth_source(config, options.runtime),
            runtime=options.runtime,
            write_block=_block_writer(config),
        )
        resumable = left if options.after_crash else []
        _serve(station, address(options.runtime, CONTROL), ends, resumable)
    return DONE


def _serve(
    station: Station, where: str, ends: Ends, resumable: Sequence[RunView]
) -> None:
    worker = Worker(join_s=ENGINE_END_S)
    with worker:
        desk = Desk(station, worker, token=secrets.token_hex)
        desk.devices()
        with ControlServer(desk, where), Scheduler(desk.start_due, desk.rest):
            for said in desk.helm.go_on(resumable):
                log.warning("%s", said)
            log.info("ready: %s", station.config.name)
            # a signal between the last look and the sleep would else be slept over
            while not ends.ended.wait(LOOK_S):
                continue
            log.info("ending")
            if ends.orphaned.is_set():
                desk.helm.abandon()
            else:
                desk.helm.close()
    if worker.is_stuck:
        _insist(station.hardware)


def _insist(hardware: Hardware) -> None:
    """End although the engine's thread does not: dark if possible, then out.

    The next start finds the run unfinished and recovers it from what is on disk.
    """
    log.error("the engine did not end within %g s; ending without it", ENGINE_END_S)
    attempt = threading.Thread(target=hardware.dark, daemon=True)
    attempt.start()
    attempt.join(2.0)
    os._exit(UNSAFE)


def _restore(database: Database, data: DataFolder, clock: Clock) -> list[RunView]:
    for name in rebuild(database, data):
        log.info("run %s was found in its folder", name)
    return recover(database, data, clock)


@contextmanager
def _guard(options: argparse.Namespace) -> Iterator[LightGuard]:
    """Yield the link to the guard that started this process, or none."""
    if not options.guarded:
        log.warning("no guard watches over the light; start it with `her2sr serve`")
        yield Unguarded()
        return
    with GuardLink(options.runtime) as link:
        yield link


def _block_writer(config: DeviceConfig) -> WriteBlock:
    """Return what writes blocks; a simulated microscope may bring a faulty disk."""
    if config.simulator is None or config.simulator.disk is None:
        return raw.write_block
    arguments = dict(config.simulator.disk)
    module, _, name = str(arguments.pop("maker")).rpartition(".")
    maker = getattr(importlib.import_module(module), name)
    writer: WriteBlock = maker(raw.write_block, **arguments)
    return writer


@contextmanager
def _opened(
    open_hardware: OpenHardware, config: DeviceConfig, path: Path
) -> Iterator[Hardware]:
    hardware = open_hardware(config, path)
    try:
        _prove_dark(hardware)
        yield hardware
    finally:
        try:
            _prove_dark(hardware)
        except LightError:
            _close_all_the_same(hardware)
            raise
        hardware.close()


def _close_all_the_same(hardware: Hardware) -> None:
    """Disconnect; a fault of that must not hide that the light is in doubt."""
    try:
        hardware.close()
    except AcqError:
        log.exception("the devices could not be disconnected either")


def _prove_dark(hardware: Hardware) -> None:
    try:
        hardware.dark()
    except DeviceError as exc:
        raise LightError(
            f"the light is not proven off ({exc}); switch it off by hand and find out "
            f"why, then start the service again"
        ) from exc


@dataclass(frozen=True, slots=True)
class Ends:
    """Why this process is to end."""

    ended: threading.Event
    orphaned: threading.Event
    """Whoever started it is gone: the run is left to the next process."""


@contextmanager
def _ending_on_signals(ended: threading.Event) -> Iterator[None]:
    """Set ``ended`` on SIGTERM or SIGINT; a second one changes nothing.

    Every step of the end has its deadline, and none may be cut short with light on.
    """

    def end(_: int, __: FrameType | None) -> None:
        ended.set()

    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, end) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _exit_code(exc: Exception) -> int:
    if isinstance(exc, LightError):
        return UNSAFE
    if isinstance(exc, ConfigError | RunConflictError):
        return WRONG_REQUEST
    return FAULT


def _real_hardware(config: DeviceConfig, path: Path) -> Hardware:
    from her2sr_acq.devices.registry import open_hardware  # MMCore is slow to import

    return open_hardware(config, path)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m her2sr_acq.daemon",
        description="The process that owns the microscope; `her2sr serve` starts it.",
        epilog="example: python -m her2sr_acq.daemon --config simulated --data data "
        "--runtime /run/user/1000/her2sr",
    )
    parser.add_argument("--config", required=True, help="device configuration")
    parser.add_argument("--data", required=True, type=Path, help="data folder")
    parser.add_argument("--runtime", required=True, type=Path, help="folder of sockets")
    parser.add_argument("--url", help="address of the web service, told to others")
    parser.add_argument(
        "--guarded", action="store_true", help="started by the guard of --runtime"
    )
    parser.add_argument(
        "--after-crash",
        type=int,
        default=0,
        metavar="N",
        help="the process before this one died: let its run go on",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
