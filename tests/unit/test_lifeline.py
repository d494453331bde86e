"""A process ends when its starter is gone, if it was told to watch."""

import os
import subprocess
import sys

import pytest

from her2sr_proc.lifeline import VARIABLE

WATCHED = """
import signal, sys, threading
from her2sr_proc.lifeline import end_with_starter

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
end_with_starter()
print("here", flush=True)
sys.exit(5 if ended.wait(float(sys.argv[1])) else 0)
"""


@pytest.mark.parametrize(("variable", "wait_s", "code"), [("1", 20, 5), ("", 0.1, 0)])
def test_the_end_of_its_input_ends_a_process_that_watches(variable, wait_s, code):
    with subprocess.Popen(
        [sys.executable, "-c", WATCHED, str(wait_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, VARIABLE: variable},
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"here\n"
        process.stdin.close()
        assert process.wait(15.0) == code
