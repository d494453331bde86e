"""An acq with one laser and one way to fail; started by a guard.

``FAKE_ACQ`` names what happens a while after the light is on, ``FAKE_AFTER_S`` how long
after. The moment of the fault is left in the runtime folder: ``time.monotonic`` is the
same clock in every process. After a crash it stands without light.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path

from her2sr_acq.guard.link import GuardLink
from her2sr_acq.ownership import Hold, Holder
from her2sr_proc.lifeline import end_with_starter
from simulators.lightport import PORT, LightPort

LIT, FAULT, IDLE, ORPHANED = "lit", "fault", "idle", "orphaned"
ended = threading.Event()


def leave(path: Path, text: str) -> None:
    beside = path.with_suffix(".partial")
    beside.write_text(text)
    beside.replace(path)


def expose(link: GuardLink, port: LightPort, *, seconds: float) -> None:
    link.permit(561, seconds=seconds)
    port.exchange("561:POW 40.0")
    port.exchange("561:ON")


def engine_works(link: GuardLink, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not ended.is_set():
        link.pulse()
        time.sleep(0.02)


def fail(kind: str, link: GuardLink, runtime: Path) -> None:
    leave(runtime / FAULT, repr(time.monotonic()))
    if kind == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "wild pointer":
        ctypes.string_at(0)
    elif kind == "hang":
        time.sleep(60.0)
    elif kind == "lock":
        ctypes.PyDLL(None).usleep(60_000_000)  # PyDLL keeps the interpreter's lock
    elif kind == "hang up":
        link.__exit__()
        time.sleep(60.0)
    elif kind == "overstay":
        engine_works(link, 60.0)
    elif kind == "exit":
        os._exit(1)


def burst(kind: str, link: GuardLink, port: LightPort, runtime: Path) -> None:
    expose(link, port, seconds=0.3 if kind == "overstay" else 60.0)
    leave(runtime / LIT, str(os.getpid()))
    engine_works(link, float(os.environ.get("FAKE_AFTER_S", "0.1")))
    if kind in ("work", "deaf"):
        engine_works(link, 60.0)
    elif kind == "bursts":
        port.exchange("ALL:OFF")
        link.release()
    else:
        fail(kind, link, runtime)


def go_dark(kind: str, link: GuardLink, port: LightPort) -> None:
    if kind == "deaf":
        time.sleep(60.0)
    port.exchange("ALL:OFF")
    link.release()


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--config", "--data", "--runtime", "--url", "--after-crash"):
        parser.add_argument(name)
    parser.add_argument("--guarded", action="store_true")
    options = parser.parse_args()
    kind = os.environ["FAKE_ACQ"]
    runtime = Path(options.runtime)
    if kind == "refuse":
        sys.stderr.write("the cure is in this sentence\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    end_with_starter(before=lambda: leave(runtime / ORPHANED, ""))
    me = Holder(pid=os.getpid(), started_utc="", configuration="", runtime="")
    with (
        Hold(Path(options.data), me),
        LightPort(runtime / PORT) as port,
        GuardLink(runtime) as link,
    ):
        link.describe(phase=kind, run="r1", trouble=os.environ.get("FAKE_TROUBLE", ""))
        link.on_dark(lambda _: go_dark(kind, link, port))
        if not link.latched and (options.after_crash is None or kind == "exit"):
            burst(kind, link, port, runtime)
        leave(runtime / IDLE, options.after_crash or "0")
        while not ended.wait(0.1):
            link.pulse()
        port.exchange("ALL:OFF")
    return 0


if __name__ == "__main__":
    sys.exit(main())
