"""Requests at a steady rate and open event streams, made by a process of its own.

Its threads would otherwise take time from whoever measures. Run as a script it works
until its standard input ends, and then prints what it did as one line of JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PATHS = ("/healthz", "/api/v1/runs?limit=5", "/metrics", "/runs")
"""Asked for in turn: what probes, scripts, Prometheus and people look at."""
ASKERS = 16
DEADLINE_S = 10.0


@dataclass
class Done:
    """What was asked, and how it was answered."""

    seconds: float = 0.0
    answers_ms: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    streams: int = 0
    """Streams that were open at the end."""
    events: int = 0

    @property
    def per_s(self) -> float:
        """Requests answered in a second."""
        return len(self.answers_ms) / self.seconds if self.seconds else 0.0

    def quantile_ms(self, share: float) -> float:
        """Return how long an answer took at most, in so large a share of them."""
        if not self.answers_ms:
            return float("nan")
        ordered = sorted(self.answers_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Load:
    """Threads that ask one service until they are told to end."""

    def __init__(self, url: str, per_s: float, streams: int) -> None:
        parts = urlsplit(url)
        self._where = (parts.hostname or "", parts.port or 80)
        self._per_s, self._streams = per_s, streams
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._done = Done()

    def work(self, ended: threading.Event) -> Done:
        """Ask until ``ended`` is set."""
        askers = [
            threading.Thread(target=self._ask, args=(n,), daemon=True)
            for n in range(ASKERS)
        ]
        listeners = [
            threading.Thread(target=self._listen, daemon=True)
            for _ in range(self._streams)
        ]
        began = time.monotonic()
        for thread in (*listeners, *askers):
            thread.start()
        ended.wait()
        self._done.seconds = time.monotonic() - began
        with self._lock:
            self._done.streams = sum(thread.is_alive() for thread in listeners)
        self._ended.set()
        for thread in askers:
            thread.join(DEADLINE_S)
        return self._done

    def _ask(self, number: int) -> None:
        period_s = ASKERS / self._per_s
        due = time.monotonic() + period_s * number / ASKERS
        turn = number
        line = http.client.HTTPConnection(*self._where, timeout=DEADLINE_S)
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + period_s, time.monotonic() - 1.0)
            began = time.monotonic()
            try:
                line.request("GET", PATHS[turn % len(PATHS)])
                answer = line.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                line.close()
                with self._lock:
                    self._done.failures += 1
                continue
            finally:
                turn += 1
            with self._lock:
                took_ms = 1000.0 * (time.monotonic() - began)
                self._done.answers_ms.append(took_ms)
                key = str(answer.status)
                self._done.statuses[key] = self._done.statuses.get(key, 0) + 1

    def _listen(self) -> None:
        while not self._ended.is_set():
            line = http.client.HTTPConnection(*self._where, timeout=60.0)
            with suppress(OSError, http.client.HTTPException):
                line.request("GET", "/api/v1/events?stay_s=3600")
                answer = line.getresponse()
                if answer.status != 200:
                    return
                while not self._ended.is_set() and (text := answer.readline()):
                    if text.startswith(b"event:"):
                        with self._lock:
                            self._done.events += 1


@contextmanager
def loaded(url: str, *, per_s: float, streams: int) -> Iterator[Done]:
    """Keep a service under load meanwhile; the yielded `Done` is filled at the end."""
    command = [sys.executable, str(Path(__file__)), url, str(per_s), str(streams)]
    done = Done()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield done
    finally:
        out, _ = process.communicate(timeout=60.0)
        done.__dict__.update(json.loads(out))


def main() -> None:
    """Work until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("per_s", type=float)
    parser.add_argument("streams", type=int)
    options = parser.parse_args()
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    load = Load(options.url, options.per_s, options.streams)
    sys.stdout.write(json.dumps(asdict(load.work(ended))))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
