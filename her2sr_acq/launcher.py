"""Starts the processes of one microscope, keeps them running, stops them in order.

The hardware process is the guard's child and is started again by the guard alone, which
proves the light off before. A guard that was killed comes back and begins with that
proof. Localizer and web service may die and come back while a run goes on.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from her2sr_acq.child import STEPS, Child
from her2sr_acq.config import load
from her2sr_acq.errors import (
    ConfigError,
    LightError,
    RunConflictError,
    ServiceUnavailableError,
)
from her2sr_acq.guard.settings import settings_for, write_settings
from her2sr_acq.ownership import holder, require_locks
from her2sr_acq.roster import Roster
from her2sr_acq.runtime import VARIABLE, runtime_folder
from her2sr_proc.memory import ENVIRONMENT
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

NAMES = ("microscope", "guard", "localizer", "api")
SYNONYMS = {"acq": "guard"}
"""The guard starts acq; whoever asks for one gets both."""
GUARD_STEPS = ((signal.SIGTERM, 15.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
"""Acq has ten seconds to end before the guard ends it and proves the light off."""
POLL_S = 0.1
PROVEN_DARK = (0, 1, 2)
"""Exit codes of the guard by which the light is known to be off."""


class Launcher:
    """The processes of one microscope, as a context manager.

    Inside ``with Launcher(...) as service`` everything answers; ``service.url`` is the
    address of the web service.
    """

    def __init__(  # noqa: PLR0913 - where, for whom, and who hears of it
        self,
        config_path: Path,
        data: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        only: Sequence[str] = NAMES,
        allow_hosts: Sequence[str] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is started. ``port`` 0 takes a free one.

        ``tell`` hears what a start that takes long is waiting for.
        """
        self._tell = tell
        wanted = {SYNONYMS.get(name, name) for name in only}
        unknown = wanted - set(NAMES)
        if unknown:
            raise ConfigError(
                f"no process '{min(unknown)}'; choose of: {', '.join(NAMES)}"
            )
        self._config = load(config_path)
        self._data = data.resolve()
        self.runtime = runtime_folder(self._data)
        self._host = host
        self._port = port or _free_port(host)
        environment = {**ENVIRONMENT, **os.environ, VARIABLE: str(self.runtime)}
        roster = Roster(
            path=config_path.resolve(),
            config=self._config,
            data=self._data,
            runtime=self.runtime,
            url=self.url,
            host=self._host,
            port=self._port,
            allow_hosts=tuple(allow_hosts),
        )
        self._children = [
            Child(
                spec,
                environment=environment,
                logs=DataFolder(self._data).logs,
                steps=GUARD_STEPS if spec.name == "guard" else STEPS,
            )
            for spec in roster.specs()
            if spec.name in wanted
        ]
        self._failure = ""
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(
            target=self._supervise, name="launcher", daemon=True
        )

    @property
    def url(self) -> str:
        """Address of the web service for this computer, without a path."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that were started; the guard's acq as well."""
        pids = {child.spec.name: child.pid for child in self._children}
        if self._has_guard and (owner := holder(self._data)) is not None:
            pids["acq"] = owner.pid
        return {name: pid for name, pid in pids.items() if pid is not None}

    def __enter__(self) -> Self:
        """Start everything and return once all of it answers.

        Raises `RunConflictError` for a data folder that is held, `ConfigError` when a
        process refuses its configuration, `ServiceUnavailableError` when one does not
        come up, `LightError` when, besides, the light may be on.
        """
        self._refuse_held_data()
        try:
            self._start()
        except BaseException as exc:
            self._stop_children()
            self._prove_dark(str(exc) or "the start was interrupted")
            raise
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every process. Raises `LightError` when the light is not proven off."""
        self._stopping.set()
        self._supervisor.join()
        self._stop_children()
        self._prove_dark(self._failure or "the guard ended without a proof")

    def check(self) -> None:
        """Raise `ServiceUnavailableError` if the service cannot go on.

        Raises `LightError` if, besides, nobody has seen the light go out.
        """
        if self._failure:
            self._prove_dark(self._failure)
            raise ServiceUnavailableError(self._failure)

    def _prove_dark(self, story: str) -> None:
        if self._is_light_in_doubt():
            raise LightError(
                f"{story}; the light is not proven off: switch it off by hand, find "
                f"out why, then start the service again"
            )

    def _is_light_in_doubt(self) -> bool:
        """Whether the guard ended without a proof of darkness."""
        return any(
            child.spec.name == "guard"
            and child.exit_code is not None
            and child.exit_code not in PROVEN_DARK
            for child in self._children
        )

    def wait(
        self, ended: threading.Event, *, alive: Callable[[], None] = lambda: None
    ) -> None:
        """Block until ``ended`` is set. Raises as `check` does.

        ``alive`` is called every tenth of a second while nothing has failed.
        """
        while not ended.wait(POLL_S):
            self.check()
            alive()

    @property
    def _has_guard(self) -> bool:
        return any(child.spec.name == "guard" for child in self._children)

    def _refuse_held_data(self) -> None:
        if self._has_guard:
            require_locks(self._data)
        owner = holder(self._data)
        if owner and self._has_guard:
            raise RunConflictError(
                f"{self._data} is held by process {owner.pid}; use its service at "
                f"{owner.url}, stop it, or choose another data folder",
                pid=owner.pid,
                url=owner.url,
            )

    def _start(self) -> None:
        if self._has_guard:
            lines = tuple(laser.nm for laser in self._config.lasers)
            write_settings(self.runtime, settings_for(lines, self._config.guard))
        waiting = []
        for child in self._children:
            if child.spec.name == "microscope":
                child.await_former()
                child.start()
                child.await_ready(self._tell)
            else:
                child.start()
                waiting.append(child)
        for child in waiting:
            child.await_ready(self._tell)

    def _stop_children(self) -> None:
        """Stop in an order that keeps the light reachable until it is out."""
        last_first = ("microscope", "localizer", "guard", "api")
        by_name = {child.spec.name: child for child in self._children}
        with ExitStack() as stack:  # a second Ctrl-C still stops every one of them
            for name in last_first:
                if name in by_name:
                    stack.callback(by_name[name].stop)

    def _supervise(self) -> None:
        while not self._stopping.wait(POLL_S):
            for child in self._children:
                if child.exit_code is not None and not self._failure:
                    try:
                        self._bury(child)
                    except OSError as exc:  # no process can be made: that may pass
                        log.warning("%s cannot be started: %s", child.spec.name, exc)

    def _bury(self, child: Child) -> None:
        # A guard that ended by itself meant it; one that was killed did not.
        is_final = child.spec.name == "guard" and (child.exit_code or 0) >= 0
        child.forgive()
        if is_final or child.restarts >= child.spec.restarts:
            self._failure = child.obituary()
            log.error("%s", self._failure)
            return
        self._stopping.wait(POLL_S * 2**child.restarts)
        child.restarts += 1
        log.warning(
            "%s; starting it again (%d of %d)",
            child.obituary(),
            child.restarts,
            child.spec.restarts,
        )
        child.start()


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
