"""Who does the tasks of a run: this process, or the workers of a Dask cluster.

Both give the same files, bit for bit on one type of processor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from her2sr_proc.errors import ClusterError, RequestError
from her2sr_proc.offline.tasks import Doing, Outcome, Task
from her2sr_proc.versions import program

log = logging.getLogger(__name__)

LOCAL = "local"
DASK = "dask://"
CONNECT_S = 20.0
LOOK_S = 1.0
LOST_S = 20.0
"""A scheduler that is away for longer is given up."""
SILENT_S = 3600.0
"""No task takes longer: then none of the workers works."""
ALONE_S = 30.0
"""After this it is told that no worker has come; those of a queue may come late."""
RETRIES = 2
"""Of a task whose worker died, on another one."""
OF_DASK = ("distributed.client", "distributed.core", "distributed.comm")
"""Who logs, with a traceback, that a scheduler is lost."""


class Scheduler(Protocol):
    """Does tasks in any order."""

    def run(self, doing: Doing, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield how every task ended, as they end. Raises `ClusterError`."""
        ...


class Local:
    """One task after another; frames side by side are the task's own affair."""

    def run(self, doing: Doing, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield how every task ended, in order."""
        yield from map(doing, tasks)


@dataclass(frozen=True, slots=True)
class Dask:
    """Workers of a Dask cluster, which see the run folder under the same path."""

    address: str
    """Such as ``tcp://host:8786``."""
    clock: Callable[[], float] = time.monotonic
    lost_s: float = LOST_S
    silent_s: float = SILENT_S
    alone_s: float = ALONE_S

    def run(self, doing: Doing, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Yield how every task ended, as they end. Raises `ClusterError`.

        The death of a worker costs what it was doing, which another one does anew. A
        worker of another program than this one does nothing, and ends the call.
        """
        client = self._connect()  # which sets how Dask's loggers are
        with _quiet():
            try:
                futures = self._submit(client, doing, tasks)
                yield from self._collect(client, futures)
            finally:
                client.close(timeout=LOOK_S)

    def _submit(
        self,
        client: Any,  # noqa: ANN401 - distributed ships no usable types
        doing: Doing,
        tasks: Sequence[Task],
    ) -> dict[Any, Task]:
        from distributed.protocol.pickle import dumps

        # a name of its own for every call: what a former one left is not its result
        token = f"{self.clock():.6f}"
        as_here = _as_here(program())
        return {
            client.submit(
                as_here,
                dumps((doing, task)),
                key=f"{task.name}-{token}",
                pure=False,
                retries=RETRIES,
            ): task
            for task in tasks
        }

    def _connect(self) -> Any:  # noqa: ANN401
        try:
            from distributed import Client
        except ImportError as exc:
            raise RequestError(
                "a Dask cluster needs the extra 'cluster'; install it with "
                "pip install 'her2sr[cluster]'"
            ) from exc
        try:
            asyncio.run(self._greet())
            return Client(self.address, timeout=CONNECT_S, set_as_default=False)
        except Exception as exc:  # what a stranger's bytes lead to is of many types
            raise ClusterError(
                f"no Dask scheduler answers at {self.address} ({_first(exc)}); start "
                f"one with `dask scheduler`, or leave --scheduler away"
            ) from exc

    async def _greet(self) -> None:
        """Raise where nothing listens, or what does not speak as a scheduler does.

        `Client` waits for ever for such a one.
        """
        from distributed.comm import connect

        greeting = connect(self.address, timeout=CONNECT_S)
        await (await asyncio.wait_for(greeting, CONNECT_S)).close()

    def _collect(self, client: Any, futures: dict[Any, Task]) -> Iterator[Outcome]:  # noqa: ANN401
        from distributed import wait

        left = dict(futures)
        seen = heard = began = self.clock()
        is_looked = False
        while left:
            try:
                with client.as_current():  # of no other client does `wait` know
                    wait(list(left), timeout=LOOK_S, return_when="FIRST_COMPLETED")
            except TimeoutError:
                pass
            except Exception as exc:  # noqa: BLE001 - cancelled futures, of many types
                self._require_scheduler(client, seen, exc)
            now = self.clock()
            if client.status == "running":
                seen = now
            else:
                self._require_scheduler(client, seen, None)
            for future in [f for f in left if f.status in ("finished", "error")]:
                heard = now
                yield self._outcome(future, left.pop(future))
            if any(f.status in ("cancelled", "lost") for f in left):
                raise self._lost("it lost the tasks it was given")
            if not is_looked and now - began > self.alone_s:
                is_looked = True
                self._tell_if_alone(client)
            if now - heard > self.silent_s:
                raise ClusterError(
                    f"no task ended within {self.silent_s:g} s at {self.address}; "
                    f"check that it has workers (`dask worker {self.address}`), then "
                    f"run again: only what is missing is computed"
                )

    def _tell_if_alone(self, client: Any) -> None:  # noqa: ANN401
        try:
            has_workers = bool(client.scheduler_info()["workers"])
        except (OSError, TimeoutError, KeyError):
            return  # away for a moment, which others watch
        if not has_workers:
            log.warning(
                "no worker has come to %s within %g s; waiting: start one with "
                "`dask worker %s`, or end this with Ctrl-C",
                self.address,
                self.alone_s,
                self.address,
            )

    def _outcome(self, future: Any, task: Task) -> Outcome:  # noqa: ANN401
        if future.status == "error":
            why = _first(future.exception(timeout=LOOK_S))
            return Outcome(task, 0.0, f"{task.name}: its workers died or failed: {why}")
        outcome: Outcome | str = future.result(timeout=LOOK_S)
        if isinstance(outcome, str):
            raise ClusterError(outcome)
        return outcome

    def _require_scheduler(
        self,
        client: Any,  # noqa: ANN401
        seen: float,
        exc: Exception | None,
    ) -> None:
        if client.status in ("closed", "closing"):
            raise self._lost(_first(exc) if exc else "it ended") from exc
        if self.clock() - seen > self.lost_s:
            raise self._lost(f"silent for {self.lost_s:g} s") from exc

    def _lost(self, why: str) -> ClusterError:
        return ClusterError(
            f"the Dask scheduler at {self.address} was lost ({why}); start it and run "
            f"again: only what is missing is computed"
        )


def parse(text: str) -> Scheduler:
    """Return the scheduler of a command line: ``local`` or ``dask://HOST:PORT``.

    Raises `RequestError`.
    """
    if text == LOCAL:
        return Local()
    host, _, port = text.removeprefix(DASK).rpartition(":")
    if text.startswith(DASK) and host and port.isdecimal() and 0 < int(port) < 65536:
        return Dask(f"tcp://{host}:{port}")
    raise RequestError(
        f"'{text}' is no scheduler; say local, or dask://HOST:PORT of a running one"
    )


def _as_here(wanted: str) -> Callable[[bytes], Outcome | str]:
    """Return what does a sent task; a sentence where the worker's program is another.

    A function within a function is sent with its code: a worker that knows nothing of
    it tells of itself too, and unpacks the task only after.
    """

    def work(sent: bytes) -> Any:  # noqa: ANN401 - what it names is not sent with it
        from distributed import get_worker
        from distributed.protocol.pickle import loads

        try:
            from her2sr_proc.versions import program

            found = f"her2sr {program()}"
        except ImportError:
            found = "no her2sr, or an earlier one"
        if found != f"her2sr {wanted}":
            return (
                f"the worker {get_worker().address} has {found}; this computer has "
                f"her2sr {wanted}: tables may differ; install the same her2sr there, "
                f"start the worker anew and run again: only what is missing is computed"
            )
        doing, task = loads(sent)
        return doing(task)

    return work


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's loggers from telling what a `ClusterError` tells in one sentence."""
    loggers = [logging.getLogger(name) for name in OF_DASK]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)


def _first(exc: BaseException | None) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__
