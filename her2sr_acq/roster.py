"""Which processes a microscope has: how each is started, and when it answers."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from her2sr_acq.child import ChildSpec
from her2sr_acq.config import DeviceConfig
from her2sr_acq.control import ControlClient
from her2sr_acq.errors import AcqError, ServiceUnavailableError
from her2sr_acq.runtime import LOCALIZER, MICROSCOPE, address, listens
from her2sr_acq.stream.envelope import ask

RESTARTS = 5
QUESTION_S = 1.0
START_S = 60.0
COMPILE_S = 1800.0
"""A localizer on a fresh machine compiles its kernels before it answers: one minute on
a quiet one, ten on one that is slow and busy. One that fails ends, and is told then."""

YIELDING = 5
"""Of the localizer: what it owes it can read from the disk later, camera and guard
cannot wait."""


@dataclass(frozen=True, slots=True)
class Roster:
    """The processes of one configuration and data folder."""

    path: Path
    config: DeviceConfig
    data: Path
    runtime: Path
    url: str
    host: str
    port: int
    allow_hosts: tuple[str, ...] = ()

    def specs(self) -> list[ChildSpec]:
        """Return how each is started, in the order of starting."""
        runtime = ("--runtime", str(self.runtime))
        data = ("--data", str(self.data))
        further = (f"--allow-host={name}" for name in self.allow_hosts)
        listen = ("--host", self.host, "--port", str(self.port), *further)
        where = ("--config", str(self.path))
        specs = [
            _python(
                "guard",
                ("her2sr_acq.guard", *where, *data, *runtime, "--url", self.url),
                self._acq_answers,
            ),
            _python(
                "localizer",
                ("her2sr_proc.live", *data, *runtime),
                self._localizer_answers,
                within_s=COMPILE_S,
                niceness=YIELDING,
            ),
            _python(
                "api",
                ("her2sr_acq.service", *where, *data, *runtime, *listen),
                self._api_answers,
            ),
        ]
        if self.config.simulator is not None:
            module = self.config.simulator.module
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
    niceness: int = 0,
) -> ChildSpec:
    return ChildSpec(
        name=name,
        command=(sys.executable, "-m", *arguments),
        is_ready=is_ready,
        ready_within_s=within_s,
        restarts=restarts,
        niceness=niceness,
    )
