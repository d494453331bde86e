"""What is said over the guard's socket: one JSON object a packet, both ways.

Closed models: whatever else arrives is answered with a refusal and changes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from her2sr_acq.guard.ports import LatchKind
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.pseudonym import Pseudonym

SOCKET = "guard.sock"
MAX_PACKET = 16384
MAX_TEXT = 2000
MAX_PERMIT_S = 3600.0
Text = Annotated[str, Field(max_length=MAX_TEXT)]
MAX_NAME = 200
NOBODY = "nobody"
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


def _said(reason: str) -> str:
    if not reason.strip():
        raise ValueError("the reason is empty; say what was found and mended")
    return reason


Finding = Annotated[
    str, Field(json_schema_extra={"pattern": r"\S"}), AfterValidator(_said)
]
"""What a person found at the microscope: never nothing."""


class Beat(Frozen):
    """Acq lives, and how far its engine is."""

    verb: Literal["beat"] = "beat"
    progress: int = Field(ge=0)
    phase: Text = ""
    run: Text = ""
    trouble: Text = Field(
        default="", description="what keeps light off, as an open door"
    )


class Permit(Frozen):
    """Acq asks for light on one line."""

    verb: Literal["permit"] = "permit"
    number: int = Field(ge=0, description="comes back with the answer")
    nm: int
    seconds: float = Field(gt=0, le=MAX_PERMIT_S)


class Release(Frozen):
    """Acq has read every line back as off."""

    verb: Literal["release"] = "release"


class Obeyed(Frozen):
    """Acq has put the light out as ordered."""

    verb: Literal["obeyed"] = "obeyed"


class SetLatch(Frozen):
    """Acq wants no light until a person looked."""

    verb: Literal["latch"] = "latch"
    kind: LatchKind
    cause: Text


class AskStatus(Frozen):
    """Anybody asks how it stands."""

    verb: Literal["status"] = "status"


class EStop(Frozen):
    """Anybody orders dark, and dark to stay."""

    verb: Literal["estop"] = "estop"
    by: Name
    reason: Text = ""


class Rearm(Frozen):
    """A person looked at the microscope and permits light again."""

    verb: Literal["rearm"] = "rearm"
    by: Pseudonym
    reason: Finding = Field(max_length=MAX_TEXT)


FromAcq = Beat | Permit | Release | Obeyed | SetLatch
FromAnybody = AskStatus | EStop | Rearm
Request = Annotated[FromAcq | FromAnybody, Field(discriminator="verb")]
REQUEST: TypeAdapter[FromAcq | FromAnybody] = TypeAdapter(Request)


class Granted(Frozen):
    """The answer to a permit; an empty refusal means light."""

    kind: Literal["granted"] = "granted"
    number: int
    refusal: Text = ""


class Standing(Frozen):
    """Told to acq whenever it changes: why no light is permitted, or nothing."""

    kind: Literal["standing"] = "standing"
    latched: Text = ""


class Dark(Frozen):
    """The order to put the light out at once."""

    kind: Literal["dark"] = "dark"
    reason: Text


class Refused(Frozen):
    """The answer to what is not understood, or cannot be now."""

    kind: Literal["refused"] = "refused"
    reason: Text


class Stopped(Frozen):
    """The answer to an e-stop."""

    kind: Literal["stopped"] = "stopped"
    dark: bool = Field(description="whether the light is proven off")
    seconds: float = Field(description="from the order to the proof, or to giving up")
    doubt: Text = Field(default="", description="why it is not proven off")


class Rearmed(Frozen):
    """The answer to a rearm that was carried out."""

    kind: Literal["rearmed"] = "rearmed"


class Status(Frozen):
    """How the guard and its acq stand."""

    kind: Literal["status"] = "status"
    acq_pid: int | None
    is_connected: bool
    lit_nm: tuple[int, ...] = Field(description="lines with a permit")
    latched: Text = ""
    light_in_doubt: Text = Field(default="", description="why it is not proven off")
    deaths: int = Field(description="of acq, since the guard started")
    phase: Text = ""
    run: Text = ""
    trouble: Text = ""


ToAcq = Granted | Standing | Dark
ToAnybody = Refused | Stopped | Rearmed | Status
Reply = Annotated[ToAcq | ToAnybody, Field(discriminator="kind")]
REPLY: TypeAdapter[ToAcq | ToAnybody] = TypeAdapter(Reply)


def clip(text: str) -> str:
    """Return a text that fits into a message, whatever it was."""
    text = _plain(text)
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def named(by: str) -> str:
    """Return who is to be recorded for an e-stop, which no name may keep from its work.

    A name that is none goes in as what it was; without one it is nobody.
    """
    return _plain(by).strip()[:MAX_NAME] or NOBODY


def _plain(text: str) -> str:
    """Return a text with what is no character, as a shell may give it, spelt out."""
    return text.encode(errors="backslashreplace").decode()
