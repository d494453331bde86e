"""Log lines of every process: words for people, or JSON lines; with run and unit.

``HER2SR_LOG=json`` in the environment of `her2sr serve` chooses JSON lines for all.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

VARIABLE = "HER2SR_LOG"
_of_process: dict[str, str] = {}
"""What all threads of a process work at: acq has one run, and one unit of it."""
_of_thread: ContextVar[Mapping[str, str]] = ContextVar("of_thread", default={})  # noqa: B039 - never changed, only replaced


def start(process: str, environment: Mapping[str, str] = os.environ) -> None:
    """Log to standard error from now on, as ``HER2SR_LOG`` says: text or json."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = environment.get(VARIABLE, "").strip().lower() == "json"
    handler.setFormatter(JsonLines(process) if is_json else Words())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


@contextmanager
def process_at(**facts: str) -> Iterator[None]:
    """Name run or unit in every line of this process meanwhile, of any thread."""
    before = dict(_of_process)
    _of_process.update(facts)
    try:
        yield
    finally:
        _of_process.clear()
        _of_process.update(before)


@contextmanager
def thread_at(**facts: str) -> Iterator[None]:
    """Name run or unit in every line of this thread meanwhile."""
    token = _of_thread.set({**_of_thread.get(), **facts})
    try:
        yield
    finally:
        _of_thread.reset(token)


def facts() -> dict[str, str]:
    """Return what a line logged here would name."""
    return {**_of_process, **_of_thread.get()}


class Words(logging.Formatter):
    """One line for people; run and unit stand in brackets where they are known."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with its traceback below."""
        named = " ".join(facts().values())
        where = f" [{named}]" if named else ""
        stamp = self.formatTime(record)
        record.message = record.getMessage()
        head = f"{stamp} {record.levelname} {record.name}{where}: {record.message}"
        return "\n".join((head, *_trace(self, record)))


class JsonLines(logging.Formatter):
    """One JSON object a line, whatever the message holds."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the object, with its traceback in ``exception``."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
            **facts(),
        }
        trace = "\n".join(_trace(self, record))
        if trace:
            line["exception"] = trace
        return json.dumps(line)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    found = []
    if record.exc_info:
        found.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        found.append(formatter.formatStack(record.stack_info))
    return found
