"""A real guard process with a fake acq, beside a light port that sees its light."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from short import short_folder

from her2sr_acq.config import load, resolve
from her2sr_acq.guard.client import GuardClient
from her2sr_acq.guard.settings import GuardSettings, settings_for, write_settings
from her2sr_acq.runtime import VARIABLE
from her2sr_proc.lifeline import VARIABLE as LIFELINE
from simulators.lightport import PORT, LightServer
from simulators.lights import Lights

SUPPORT = Path(__file__).parent
GUARD = """
import sys
from her2sr_acq.guard.__main__ import main
sys.exit(main(sys.argv[2:], acq=(sys.executable, sys.argv[1])))
"""


def settings() -> GuardSettings:
    """Return the packaged settings of the simulated microscope."""
    config = load(resolve("simulated"))
    return settings_for(tuple(laser.nm for laser in config.lasers), config.guard)


def until(is_so: Callable[[], object], *, within_s: float = 40.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.005)


class SeenLights(Lights):
    """Lights that remember when they went on and off; some cannot be shut."""

    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self.changes: list[tuple[float, bool]] = []
        self.is_stuck = False

    def switch(self, nm: int, *, on: bool) -> None:
        if on or not self.is_stuck:
            super().switch(nm, on=on)
        self._see()

    def all_off(self) -> None:
        if not self.is_stuck:
            super().all_off()
        self._see()

    def _see(self) -> None:
        if not self.changes or self.changes[-1][1] != self.is_lit:
            self.changes.append((time.monotonic(), self.is_lit))

    @property
    def is_lit(self) -> bool:
        return any(line.on for line in self.states())

    def seconds_lit_after(self, moment: float) -> float:
        """Return how long light was on after a moment; waits until it is dark."""
        until(lambda: not self.is_lit)
        return max(0.0, self.changes[-1][0] - moment)


@dataclass
class GuardBench:
    runtime: Path
    data: Path
    lights: SeenLights = field(default_factory=SeenLights)
    process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> GuardClient:
        return GuardClient(self.runtime)

    def start(self, kind: str, **variables: str) -> None:
        """Start a guard whose acq fails in one way."""
        path = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
        options = ["--config", "x", "--data", self.data, "--runtime", self.runtime]
        with (self.runtime / "guard.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", GUARD, SUPPORT / "fake_acq.py", *options],
                env={
                    **os.environ,
                    "FAKE_ACQ": kind,
                    "PYTHONPATH": path,
                    VARIABLE: str(self.runtime),
                    LIFELINE: "",
                    **variables,
                },
                stdin=subprocess.PIPE,
                stderr=log,
            )

    def acq_pid(self) -> int:
        """Return the id of the acq that is lit."""
        until((self.runtime / "lit").exists)
        return int((self.runtime / "lit").read_text())

    def fault_at(self) -> float:
        """Return when acq began to fail."""
        until((self.runtime / "fault").exists)
        return float((self.runtime / "fault").read_text())

    def stands_after(self, deaths: int) -> bool:
        """Whether an acq waits in the dark that was told of so many deaths."""
        path = self.runtime / "idle"
        return path.exists() and path.read_text() == str(deaths)

    def leave(self) -> int:
        """End as a starter that is killed; return the guard's exit code."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(20.0)

    def end(self) -> int:
        """Ask the guard to end; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def forget(self) -> None:
        """Take away what former processes left to be waited for."""
        for name in ("lit", "fault", "idle"):
            (self.runtime / name).unlink(missing_ok=True)

    def close(self) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


@contextmanager
def guard_bench(data: Path) -> Iterator[GuardBench]:
    """Yield a bench whose light port listens; its processes end with it."""
    with short_folder() as runtime:
        write_settings(runtime, settings())
        bench = GuardBench(runtime, data)
        server = LightServer(runtime / PORT, bench.lights)
        server.start()
        try:
            yield bench
        finally:
            bench.close()
            server.stop()
