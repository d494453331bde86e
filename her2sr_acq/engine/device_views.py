"""What devices and the doctor say: control socket and REST."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen


class DeviceView(Frozen):
    """What one device says of itself."""

    label: str
    role: str
    adapter: str
    values: dict[str, str]


class DevicesView(Frozen):
    """Every device, read at one moment."""

    taken_utc: str = Field(description="read then; during a run the last reading stays")
    devices: tuple[DeviceView, ...]


class Found(Frozen):
    """One thing that the doctor looked at."""

    subject: str
    state: Literal["good", "bad", "note"] = Field(
        description="note: nobody has checked it, or it could not be asked now"
    )
    detail: str = Field(description="what was found, or the cure")


class CheckupView(Frozen):
    """What the doctor found, as `her2sr doctor` tells it."""

    taken_utc: str
    found: tuple[Found, ...]
