"""Looks at runs, works out what is new, and offers it to every target.

A thread of its own in the web service: neither the hardware process nor a page waits
for it. What was told is kept on disk; after a restart it goes on from there, and what
happened meanwhile is told late instead of never.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from pydantic import ValidationError

from her2sr_acq.config_notify import NotifyConfig
from her2sr_acq.engine.views import Health, RunView
from her2sr_acq.errors import AcqError
from her2sr_acq.notifying.mail import Mail
from her2sr_acq.notifying.notice import Notice
from her2sr_acq.notifying.post import Outbox, Tally
from her2sr_acq.notifying.watch import Seen, Watch
from her2sr_acq.notifying.webhook import Webhook
from her2sr_proc.errors import ProcError
from her2sr_proc.store.atomic import write_text

log = logging.getLogger(__name__)

PERIOD_S = 2.0
LOOKED_AT = 50
"""Runs, the newest."""


class Asked(Protocol):
    """What is asked of the hardware process."""

    def health(self) -> Health:
        """Return how it stands."""
        ...

    def runs(self, *, limit: int) -> list[RunView]:
        """Return the newest runs."""
        ...


def outboxes(config: NotifyConfig, *, now: Callable[[], datetime]) -> list[Outbox]:
    """Return one for every target. Raises `ConfigError` without its secret."""
    hooks = [
        Outbox(hook.name, Webhook(hook, config.private, now=now), kinds=hook.kinds)
        for hook in config.webhooks
    ]
    mails = [
        Outbox(mail.name, Mail(mail, now=now), kinds=mail.kinds) for mail in config.mail
    ]
    return [*hooks, *mails]


class Office:
    """Watches and tells, as a context manager. Without a target it does nothing."""

    def __init__(
        self,
        asked: Asked,
        targets: Sequence[Outbox],
        kept: Path,
        *,
        low_disk_gb: float,
        now: Callable[[], datetime],
    ) -> None:
        self._asked, self._targets, self._kept = asked, tuple(targets), kept
        self._watch = Watch(_read(kept), low_disk_gb=low_disk_gb, now=now)
        self._ended = threading.Event()
        self._stack = ExitStack()
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        self._is_unwritten = False

    def __enter__(self) -> Self:
        """Start watching."""
        if self._targets:
            for target in self._targets:
                self._stack.enter_context(target)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End within seconds, whatever a target does."""
        self._ended.set()
        if self._targets:
            self._thread.join(PERIOD_S)
        self._stack.close()

    def tallies(self) -> list[Tally]:
        """Return what became of the notices of every target."""
        return [target.tally() for target in self._targets]

    def look(self) -> None:
        """Look once, and offer what is new to every target."""
        before = self._watch.seen
        for notice in self._news():
            log.info("%s", notice.title)
            for target in self._targets:
                target.offer(notice)
        if self._watch.seen != before:
            self._keep()

    def _news(self) -> list[Notice]:
        try:
            health, runs = self._asked.health(), self._asked.runs(limit=LOOKED_AT)
        except AcqError as exc:
            return self._watch.silence(str(exc))
        return self._watch.look(health, runs)

    def _keep(self) -> None:
        """Write what was told; a disk that takes nothing costs no notice."""
        try:
            write_text(self._kept, self._watch.seen.model_dump_json() + "\n")
            self._is_unwritten = False
        except (OSError, ProcError) as exc:
            if not self._is_unwritten:
                log.warning("what was told cannot be kept: %s", exc)
            self._is_unwritten = True

    def _work(self) -> None:
        while not self._ended.wait(PERIOD_S):
            try:
                self.look()
            except Exception:  # later looks may be better
                log.exception("what happened could not be looked at")


def _read(kept: Path) -> Seen:
    try:
        return Seen.model_validate_json(kept.read_text())
    except (OSError, UnicodeDecodeError, ValidationError):
        return Seen()  # the first look then tells of what is going on alone
