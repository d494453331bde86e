"""Starts the processes of one microscope, keeps them running, stops them in order.

The hardware process is never restarted here: after its death the light must be proven
off before anything goes on, which is not this module's knowledge. Localizer and web
service may die and come back while a run goes on.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from her2sr_acq.child import Child, ChildSpec
from her2sr_acq.config import DeviceConfig, load
from her2sr_acq.control import ControlClient
from her2sr_acq.errors import (
    AcqError,
    ConfigError,
    LightError,
    RunConflictError,
    ServiceUnavailableError,
)
from her2sr_acq.ownership import holder
from her2sr_acq.runtime import (
    LOCALIZER,
    MICROSCOPE,
    VARIABLE,
    address,
    listens,
    runtime_folder,
)
from her2sr_acq.stream.envelope import ask
from her2sr_proc.store.layout import DataFolder

log = logging.getLogger(__name__)

NAMES = ("microscope", "acq", "localizer", "api")
RESTARTS = 5
POLL_S = 0.1
QUESTION_S = 1.0
START_S = 60.0
COMPILE_S = 240.0
"""A localizer on a fresh machine compiles its kernels before it answers."""
PROVEN_DARK = (0, 1, 2)
"""Exit codes of the hardware process by which the light is known to be off."""


class Launcher:
    """The processes of one microscope, as a context manager.

    Inside ``with Launcher(...) as service`` everything answers; ``service.url`` is the
    address of the web service.
    """

    def __init__(
        self,
        config_path: Path,
        data: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        only: Sequence[str] = NAMES,
    ) -> None:
        """Prepare; nothing is started. ``port`` 0 takes a free one."""
        unknown = set(only) - set(NAMES)
        if unknown:
            raise ConfigError(
                f"no process '{min(unknown)}'; choose of: {', '.join(NAMES)}"
            )
        self._config = load(config_path)
        self._data = data.resolve()
        self.runtime = runtime_folder(self._data)
        self._host = host
        self._port = port or _free_port(host)
        environment = {**os.environ, VARIABLE: str(self.runtime)}
        self._children = [
            Child(spec, environment=environment, logs=DataFolder(self._data).logs)
            for spec in self._specs(config_path.resolve(), self._config)
            if spec.name in only
        ]
        self._failure = ""
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(
            target=self._supervise, name="launcher", daemon=True
        )

    @property
    def url(self) -> str:
        """Address of the web service, without a path."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that were started."""
        return {
            child.spec.name: child.pid
            for child in self._children
            if child.pid is not None
        }

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
        self._prove_dark(self._failure or "the acq process ended without a proof")

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
        """Whether the hardware process ended without a proof of darkness."""
        return any(
            child.spec.name == "acq"
            and child.exit_code is not None
            and child.exit_code not in PROVEN_DARK
            for child in self._children
        )

    def wait(self, ended: threading.Event) -> None:
        """Block until ``ended`` is set. Raises as `check` does."""
        while not ended.wait(POLL_S):
            self.check()

    def _refuse_held_data(self) -> None:
        owner = holder(self._data)
        if owner and any(child.spec.name == "acq" for child in self._children):
            raise RunConflictError(
                f"{self._data} is held by process {owner.pid}; use its service at "
                f"{owner.url}, stop it, or choose another data folder",
                pid=owner.pid,
                url=owner.url,
            )

    def _start(self) -> None:
        waiting = []
        for child in self._children:
            child.start()
            if child.spec.name == "microscope":
                child.await_ready()
            else:
                waiting.append(child)
        for child in waiting:
            child.await_ready()

    def _stop_children(self) -> None:
        """Stop in an order that keeps the light reachable until it is out."""
        last_first = ("microscope", "localizer", "acq", "api")
        by_name = {child.spec.name: child for child in self._children}
        with ExitStack() as stack:  # a second Ctrl-C still stops every one of them
            for name in last_first:
                if name in by_name:
                    stack.callback(by_name[name].stop)

    def _supervise(self) -> None:
        while not self._stopping.wait(POLL_S):
            for child in self._children:
                if child.exit_code is not None and not self._failure:
                    self._bury(child)

    def _bury(self, child: Child) -> None:
        if child.restarts >= child.spec.restarts:
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

    def _specs(self, config: Path, model: DeviceConfig) -> list[ChildSpec]:
        runtime = ("--runtime", str(self.runtime))
        data = ("--data", str(self._data))
        listen = ("--host", self._host, "--port", str(self._port))
        where = ("--config", str(config))
        specs = [
            _python(
                "acq",
                ("her2sr_acq.daemon", *where, *data, *runtime, "--url", self.url),
                self._acq_answers,
                restarts=0,
            ),
            _python(
                "localizer",
                ("her2sr_proc.live", *data, *runtime),
                self._localizer_answers,
                within_s=COMPILE_S,
            ),
            _python(
                "api",
                ("her2sr_acq.service", *data, *runtime, *listen),
                self._api_answers,
            ),
        ]
        if model.simulator is not None:
            module = model.simulator.module
            specs.insert(
                0,
                _python(
                    "microscope",
                    (module, *where, *runtime),
                    self._microscope_listens,
                    restarts=0,
                ),
            )
        return specs

    def _microscope_listens(self) -> bool:
        return listens(self.runtime / MICROSCOPE, within_s=QUESTION_S)

    def _acq_answers(self) -> bool:
        client = ControlClient(self.runtime, deadline_s=QUESTION_S)
        try:
            client.health()
        except AcqError:
            return False
        return True

    def _localizer_answers(self) -> bool:
        where = address(self.runtime, LOCALIZER)
        try:
            return ask(where, "status", {}, deadline_s=QUESTION_S).ok
        except ServiceUnavailableError:
            return False

    def _api_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=QUESTION_S):
                return True
        except (urllib.error.URLError, OSError):
            return False


def _python(
    name: str,
    arguments: tuple[str, ...],
    is_ready: Callable[[], bool],
    *,
    restarts: int = RESTARTS,
    within_s: float = START_S,
) -> ChildSpec:
    return ChildSpec(
        name=name,
        command=(sys.executable, "-m", *arguments),
        is_ready=is_ready,
        ready_within_s=within_s,
        restarts=restarts,
    )


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
