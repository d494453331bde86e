"""What the guard is told: how light is put out, and how long silence may last.

Read from a file in the runtime folder, so that the guard needs no device configuration
and e-stop needs no guard. Imports nothing that is slow or large.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from her2sr_acq.errors import ConfigError
from her2sr_proc.schema.model import Frozen
from her2sr_proc.store.atomic import write_text

FILE = "guard.json"
_PORT = re.compile(r"unix:[^/]+|serial:.+:\d+")


class Exchange(Frozen):
    """One line sent over a port, and what must come back."""

    send: str = Field(
        description="ASCII with its line end; escapes such as \\r are written in yaml"
    )
    expect: str = Field(description="regular expression that the whole answer matches")

    @field_validator("send")
    @classmethod
    def _is_ascii(cls, send: str) -> str:
        if not send or not send.isascii():
            raise ValueError("'send' must hold ASCII alone, and at least one character")
        return send

    @field_validator("expect")
    @classmethod
    def _proves_something(cls, expect: str) -> str:
        try:
            proves_nothing = re.fullmatch(expect, "") is not None
        except re.error as exc:
            raise ValueError(f"'expect' is no regular expression: {exc}") from exc
        if proves_nothing:
            raise ValueError(
                "'expect' must not match silence; ask the device for its state"
            )
        return expect


class SafeOff(Frozen):
    """How lines of light are put out without MMCore."""

    nm: tuple[int, ...] = Field(min_length=1, description="the lines that this shuts")
    port: str | None = Field(
        default=None,
        description="unix:NAME (in the runtime folder) or serial:DEVICE:BAUD",
    )
    exchanges: tuple[Exchange, ...] = ()
    is_shared: bool = Field(
        default=True,
        description="acq holds the same port and must be ended first; false: a gate "
        "line that the guard alone owns",
    )
    dies_with_acq: bool = Field(
        default=False, description="there is no light without the acq process (demo)"
    )
    timeout_s: float = Field(default=0.3, gt=0, le=5)

    @model_validator(mode="after")
    def _has_a_way(self) -> Self:
        has_port = self.port is not None and len(self.exchanges) > 0
        if has_port == self.dies_with_acq:
            raise ValueError("give either 'port' and 'exchanges', or 'dies_with_acq'")
        if self.port is not None and not _PORT.fullmatch(self.port):
            raise ValueError("'port' must be unix:NAME or serial:DEVICE:BAUD")
        return self


class GuardConfig(Frozen):
    """What the guard may do, and how long silence lasts before it does."""

    silence_s: float = Field(
        default=0.7, gt=0.2, le=5, description="without a heartbeat, while lit"
    )
    progress_s: float = Field(
        default=0.7, gt=0.2, le=30, description="without engine progress, while lit"
    )
    dark_silence_s: float = Field(
        default=15.0, gt=1, le=600, description="without a heartbeat, while dark"
    )
    dark_progress_s: float = Field(
        default=600.0,
        gt=1,
        le=7200,
        description="without engine progress, while dark and in a run: a device's "
        "call hangs; longer than the longest move, and than reading a unit back",
    )
    safe_off: tuple[SafeOff, ...] = Field(
        default=(), description="in this order; every line of light must be covered"
    )


class GuardSettings(Frozen):
    """Everything that a guard must know of its microscope."""

    version: Literal[1] = 1
    lasers_nm: tuple[int, ...] = Field(min_length=1)
    guard: GuardConfig

    @model_validator(mode="after")
    def _every_line_can_be_shut(self) -> Self:
        covered = {nm for way in self.guard.safe_off for nm in way.nm}
        missing = sorted(set(self.lasers_nm) - covered)
        if missing:
            raise ValueError(
                f"guard.safe_off: nothing shuts the line of {missing[0]} nm; add it "
                f"to one of the entries"
            )
        return self


def settings_for(lasers_nm: tuple[int, ...], guard: GuardConfig) -> GuardSettings:
    """Return the settings of a microscope. Raises `ConfigError` for a gap in them."""
    try:
        return GuardSettings(lasers_nm=lasers_nm, guard=guard)
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(fault) from exc


def write_settings(runtime: Path, settings: GuardSettings) -> None:
    """Leave the settings where the guard and e-stop look for them."""
    write_text(runtime / FILE, settings.model_dump_json())


def read_settings(runtime: Path) -> GuardSettings:
    """Return the settings. Raises `ConfigError` when there are none that hold."""
    path = runtime / FILE
    try:
        return GuardSettings.model_validate_json(path.read_text())
    except (OSError, ValidationError) as exc:
        raise ConfigError(
            f"{path} does not say how the light is put out ({exc}); start the service "
            f"of this data folder once with `her2sr serve`",
            path=str(path),
        ) from exc
