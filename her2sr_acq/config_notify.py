"""Who is told of what happens to runs: targets, and which of them are allowed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from her2sr_acq.errors import ConfigError
from her2sr_proc.schema.model import Frozen

NoticeKind = Literal["start", "pause", "fault", "low_disk", "finish"]
KINDS: tuple[NoticeKind, ...] = ("start", "pause", "fault", "low_disk", "finish")
Network = IPv4Network | IPv6Network
LONGEST_SECRET = 4096


class SecretSource(Frozen):
    """Where a secret is kept; the secret itself never stands in a configuration."""

    file: str | None = Field(default=None, description="absolute path of a file")
    env: str | None = Field(default=None, description="name of a variable")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("give either 'file' or 'env', and not both")
        if self.file is not None and not Path(self.file).is_absolute():
            raise ValueError("file: give an absolute path")
        return self

    def read(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the secret. Raises `ConfigError` where there is none."""
        if self.env is not None:
            place, secret = f"the variable {self.env}", environment.get(self.env, "")
        else:
            place = str(self.file)
            try:
                with Path(place).open(encoding="utf-8") as file:
                    secret = file.read(LONGEST_SECRET).strip()
            except (OSError, UnicodeDecodeError) as exc:
                raise ConfigError(
                    f"the secret in {place} cannot be read ({exc}); put it there, "
                    f"readable by the service alone"
                ) from exc
        if not secret:
            raise ConfigError(f"there is no secret in {place}; put one there")
        return secret


class Target(Frozen):
    """What every target says of itself."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,31}$",
        description="in /metrics and logs",
    )
    kinds: tuple[NoticeKind, ...] = Field(default=KINDS, min_length=1)


class WebhookConfig(Target):
    """An address that is told by POST."""

    url: str = Field(max_length=2000)
    secret: SecretSource | None = Field(
        default=None, description="signs what is sent (HMAC-SHA256); none: unsigned"
    )
    format: Literal["generic", "slack"] = "generic"

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("is no address; write https://host/path")
        if parts.username or parts.password:
            raise ValueError("holds a password; keep it in 'secret'")
        if not url.isascii() or any(ord(sign) <= 32 for sign in url):
            raise ValueError("holds signs that no address has")
        _ = parts.port  # raises ValueError for what is no port
        return url

    @property
    def parts(self) -> SplitResult:
        """The address, taken apart."""
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        """Name or number of the host, in small letters."""
        return self.parts.hostname or ""


class MailConfig(Target):
    """People who are told by e-mail."""

    host: str = Field(min_length=1, max_length=253)
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="none: to a server on this computer alone"
    )
    sender: Annotated[str, Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")]
    to: tuple[Annotated[str, Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")], ...] = Field(
        min_length=1, max_length=20
    )
    user: str | None = None
    password: SecretSource | None = None

    @model_validator(mode="after")
    def _nothing_is_told_in_the_open(self) -> Self:
        is_here = self.host in ("localhost", "127.0.0.1", "::1")
        if self.security == "none" and not is_here:
            raise ValueError("security: none is for a server on this computer; use tls")
        if (self.user is None) != (self.password is None):
            raise ValueError("give user and password, or neither")
        return self


class NotifyConfig(Frozen):
    """Targets, and what limits them. Without a target nobody is told."""

    webhooks: tuple[WebhookConfig, ...] = Field(default=(), max_length=10)
    mail: tuple[MailConfig, ...] = Field(default=(), max_length=10)
    allow_hosts: tuple[str, ...] = Field(
        default=(), description="the only hosts that a webhook may have"
    )
    allow_private: tuple[str, ...] = Field(
        default=(),
        description="networks such as 192.168.7.0/24 that a webhook may lie in; "
        "every other private, loopback or link-local address is refused",
    )
    low_disk_gb: float = Field(
        default=20.0, ge=0, description="less free than this is told; 0: never"
    )

    @field_validator("allow_private")
    @classmethod
    def _are_networks(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            ip_network(value)
        return values

    @model_validator(mode="after")
    def _every_host_is_allowed(self) -> Self:
        allowed = {host.lower() for host in self.allow_hosts}
        for hook in self.webhooks:
            if hook.host not in allowed:
                raise ValueError(
                    f"webhooks: {hook.host} is not in allow_hosts; add it there"
                )
            if hook.parts.scheme == "http" and not self.allow_private:
                raise ValueError(
                    f"webhooks: {hook.name} is not encrypted; use https, or name its "
                    f"private network in allow_private"
                )
        names = [target.name for target in (*self.webhooks, *self.mail)]
        if len(set(names)) != len(names):
            raise ValueError("every target needs a name of its own")
        return self

    @property
    def private(self) -> tuple[Network, ...]:
        """The private networks that are allowed."""
        return tuple(ip_network(value) for value in self.allow_private)
