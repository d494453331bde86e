"""The guard is small: what could hang or crash acq is not in it."""

import os
import signal
import subprocess
import sys

from her2sr_acq.guard.acq import Acq

HEAVY = ("numpy", "zmq", "pymmcore_plus", "fastapi", "yaml", "serial")


def test_the_guard_imports_nothing_heavy():
    code = "import sys, her2sr_acq.guard.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "her2sr_acq.guard.supervisor" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_a_guard_that_fails_dies_and_does_not_speak_for_the_light():
    code = """
from her2sr_acq.guard import __main__ as guard
def fail(path): raise TypeError("a fault of the guard itself")
guard.read_settings = fail
guard.main(["--config", "c", "--data", "d", "--runtime", "r"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGABRT
    assert "a fault of the guard itself" in done.stderr


class DiesWhileLookedAt(Acq):
    """Lives at the first look and has ended at the second."""

    looks = 0

    @property
    def is_alive(self) -> bool:
        self.looks += 1
        return self.looks == 1


def test_an_acq_that_ends_between_two_looks_can_be_killed(tmp_path):
    for end in (Acq.kill, Acq.ask_to_end):
        acq = DiesWhileLookedAt(
            (sys.executable, "-c", "input()"),
            environment=os.environ,
            logs=tmp_path,
            note_pid=lambda _: None,
        )
        acq.start()
        try:
            end(acq)
        finally:
            acq.kill()
        assert not acq.is_alive
