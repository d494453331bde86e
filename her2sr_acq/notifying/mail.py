"""A notice by e-mail, over an encrypted line to the laboratory's own server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from her2sr_acq.config_notify import MailConfig
from her2sr_acq.errors import DeliveryError
from her2sr_acq.notifying.deadline import cut_off_after
from her2sr_acq.notifying.notice import Notice

DEADLINE_S = 20.0
"""Mail servers take their time before they take a letter."""
PERMANENT = 500


class Mail:
    """Sends to the people of one target. Used by one thread."""

    def __init__(
        self,
        config: MailConfig,
        *,
        now: Callable[[], datetime],
        tls: ssl.SSLContext | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Read the password. Raises `ConfigError` where there is none."""
        self._config, self._now, self._deadline_s = config, now, deadline_s
        self._password = config.password.read() if config.password else None
        self._tls = tls or ssl.create_default_context()

    def send(self, notice: Notice) -> None:
        """Send it once. Raises `DeliveryError` unless the server took it for all."""
        host = self._config.host
        try:
            refused = self._hand_over(self._letter(notice))
        except smtplib.SMTPRecipientsRefused as exc:
            raise DeliveryError(
                f"{host} takes letters for none of the addresses",
                may_pass=any(code < PERMANENT for code, _ in exc.recipients.values()),
            ) from exc
        except smtplib.SMTPResponseException as exc:
            raise DeliveryError(
                f"{host} answered {exc.smtp_code}",
                may_pass=exc.smtp_code < PERMANENT,
            ) from exc
        except smtplib.SMTPNotSupportedError as exc:
            raise DeliveryError(f"{host}: {exc}", may_pass=False) from exc
        except (OSError, smtplib.SMTPException) as exc:
            raise DeliveryError(
                f"{host} does not take letters: {exc!r}", may_pass=True
            ) from exc
        if refused:  # sent again, the others would get it twice
            raise DeliveryError(
                f"{host} refused {len(refused)} of {len(self._config.to)} addresses",
                may_pass=False,
            )

    def _letter(self, notice: Notice) -> EmailMessage:
        letter = EmailMessage()
        letter["Subject"] = f"[her2sr] {' '.join(notice.title.split())}"
        letter["From"] = self._config.sender
        letter["To"] = ", ".join(self._config.to)
        letter["Date"] = format_datetime(self._now())
        letter["Message-ID"] = f"<{notice.id}@her2sr.invalid>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers
        letter.set_content(notice.text)
        return letter

    def _hand_over(self, letter: EmailMessage) -> dict[str, tuple[int, bytes]]:
        config = self._config
        limit = self._deadline_s
        made: list[smtplib.SMTP] = []
        with ExitStack() as stack:
            stack.enter_context(
                cut_off_after(limit, lambda: made[0].sock if made else None)
            )
            where = (config.host, config.port)
            if config.security == "tls":
                server: smtplib.SMTP = _ReachableTls(
                    made, *where, timeout=limit, context=self._tls
                )
            else:
                server = _Reachable(made, *where, timeout=limit)
            stack.enter_context(server)
            if config.security == "starttls":
                server.starttls(context=self._tls)
            if config.user is not None and self._password is not None:
                server.login(config.user, self._password)
            return server.send_message(letter)


class _Reachable(smtplib.SMTP):
    """Can be cut off while it is being made, which is when it waits for a greeting."""

    def __init__(
        self, made: list[smtplib.SMTP], host: str, port: int, *, timeout: float
    ) -> None:
        made.append(self)
        self.sock = None
        super().__init__(host, port, timeout=timeout)


class _ReachableTls(smtplib.SMTP_SSL):
    """The same, over TLS from the first byte."""

    def __init__(
        self,
        made: list[smtplib.SMTP],
        host: str,
        port: int,
        *,
        timeout: float,
        context: ssl.SSLContext,
    ) -> None:
        made.append(self)
        self.sock = None
        super().__init__(host, port, timeout=timeout, context=context)
