"""What the engine may ask the localizer, with a deadline, and what holds without it.

The acquisition never depends on it: an answer that does not come in time is none, with
the reason, and whoever asked goes on as its fall-back says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from her2sr_acq.engine.clock import Clock
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.stream.envelope import Answer, Body, ask
from her2sr_proc.schema.block import UnitKey

POLL_S = 0.2
ANSWER_S = 2.0
PROMPT_S = 0.2
"""Within a burst: the camera's ring holds seconds of frames meanwhile."""


class Ask(Protocol):
    """Puts one question, as `envelope.ask` does."""

    def __call__(
        self, address: str, verb: str, body: Body, *, deadline_s: float
    ) -> Answer:
        """Return the answer or raise `ServiceUnavailableError`."""
        ...


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BlockCounts(_Told):
    """Localizations of each block that is localized by now."""

    blocks: dict[int, int]
    written: int


class UnitSummary(_Told):
    """What the engine asks of a finished unit; the answer tells more."""

    localizations: int
    frames: int


class Nuclei(_Told):
    """Where nuclei lie in a picture."""

    nuclei: int
    centres_px: tuple[tuple[float, float], ...]
    """x, y."""


class Scorable(_Told):
    """Nuclei of a run that may be scored by now."""

    fields: dict[str, int]
    """Field -> such nuclei."""
    nuclei: int
    width: float | None = None
    """Of the 95 % interval of the headline's ratio; None: unbounded as yet."""


class TileNuclei(_Told):
    """How much of a tile of an overview is nucleus."""

    nuclei: int = Field(ge=0)
    share: float = Field(ge=0, le=1)
    """Of its area."""


class _Progress(_Told):
    done: bool


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, why, and what is done instead."""

    why: str
    instead: str


class Enquiry:
    """Questions to one localizer. Used by the engine's thread alone."""

    def __init__(
        self, address: str, clock: Clock, sleep: Callable[[float], None], ask: Ask = ask
    ) -> None:
        self._address = address
        self._clock = clock
        self._sleep = sleep
        self._ask = ask

    def localizations(self, unit: UnitKey) -> BlockCounts | Unknown:
        """Return counts by block within a burst; without them the power is held."""
        instead = "the power of the activating line is held"
        asked = _named(unit)
        return self._once(
            "localizations", asked, BlockCounts, instead, deadline_s=PROMPT_S
        )

    def summary(self, unit: UnitKey) -> UnitSummary | Unknown:
        """Return a unit's summary; without it nothing is said of how fields fade."""
        instead = "the fading of this unit is not judged"
        return self._once("unit_summary", _named(unit), UnitSummary, instead)

    def scorable(self, run: str) -> Scorable | Unknown:
        """Return the scorable nuclei of a run; without an answer it goes on."""
        instead = "the run goes on with its next field"
        return self._once("scorable", {"run": run}, Scorable, instead)

    def nuclei(self, unit: UnitKey, *, deadline_s: float) -> Nuclei | Unknown:
        """Return the nuclei of a unit; without them the field is taken as if it had."""
        instead = "the field counts as one with nuclei, so that none is lost"
        until = self._clock.monotonic() + deadline_s
        while True:
            found = self._once("nuclei", _named(unit), _Progress, instead)
            if isinstance(found, Unknown):
                return found
            if found.done:
                return self._once("nuclei", _named(unit), Nuclei, instead)
            if self._clock.monotonic() >= until:
                return Unknown(f"no answer within {deadline_s:g} s", instead)
            self._sleep(POLL_S)

    def overview(self, run: str, field: str) -> TileNuclei | Unknown | None:
        """Return the nuclei of a tile of an overview; None: not found yet.

        The first question begins the search. Without an answer tiles are compared by
        the structure of their pictures.
        """
        instead = "the tiles are compared by the structure of their pictures"
        body: Body = {"run": run, "field": field}
        found = self._once("overview_nuclei", body, _Progress, instead)
        if isinstance(found, Unknown):
            return found
        if not found.done:
            return None
        return self._once("overview_nuclei", body, TileNuclei, instead)

    def _once(
        self,
        verb: str,
        body: Body,
        model: type[Model],
        instead: str,
        *,
        deadline_s: float = ANSWER_S,
    ) -> Model | Unknown:
        try:
            answer = self._ask(self._address, verb, body, deadline_s=deadline_s)
        except ServiceUnavailableError as exc:
            return Unknown(str(exc), instead)
        if not answer.ok:
            why = answer.error.message if answer.error else "no reason given"
            return Unknown(why, instead)
        try:
            return model.model_validate(answer.body)
        except ValidationError:
            return Unknown("the localizer's answer cannot be understood", instead)


def _named(unit: UnitKey) -> Body:
    return {"unit": unit.model_dump(mode="json")}
