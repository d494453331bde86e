"""The guard is small: what could hang or crash acq is not in it."""

import subprocess
import sys

HEAVY = ("numpy", "zmq", "pymmcore_plus", "fastapi", "yaml", "serial")


def test_the_guard_imports_nothing_heavy():
    code = "import sys, her2sr_acq.guard.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "her2sr_acq.guard.supervisor" in loaded
    assert loaded.isdisjoint(HEAVY)
