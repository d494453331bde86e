"""Real Dask schedulers and workers, and an S3 server, as processes on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from distributed import Client

START_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_open(port: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens at {port} after {START_S:g} s")


class Cluster:
    """A scheduler without a dashboard, and workers of one thread without nannies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "cluster.log").open("w")
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port),
            "--no-dashboard", "--no-show",
        )  # fmt: skip
        until_open(self.port, self.scheduler)
        self.workers: list[subprocess.Popen] = []

    def add_worker(self, first_path: Path | None = None) -> subprocess.Popen:
        """Start a worker; ``first_path``: where it looks for packages first."""
        worker = self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--host", "127.0.0.1", "--local-directory", str(self._folder),
            first_path=first_path,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def until_tasks_come(self) -> None:
        end = time.monotonic() + START_S
        with Client(self.address, set_as_default=False) as looking:
            while time.monotonic() < end:
                if looking.run_on_scheduler(_tasks):
                    return
                time.sleep(0.1)
        raise TimeoutError(f"no task came to {self.address} in {START_S:g} s")

    def kill(self, process: subprocess.Popen) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                self.kill(process)
        self._log.close()

    def _start(self, *words: str, first_path: Path | None = None) -> subprocess.Popen:
        paths = [first_path, *sys.path] if first_path else sys.path
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        )


def _tasks(dask_scheduler) -> int:
    return len(dask_scheduler.tasks)


@contextmanager
def cluster(folder: Path, *, workers: int):
    """Yield a cluster with some workers; all of it is gone at the end."""
    made = Cluster(folder)
    try:
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        made.close()
