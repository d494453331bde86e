"""A number with its range: refused in one sentence that tells the whole range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

TOLD = 40
"""Characters of a wrong value that are repeated."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``low`` to ``high``, in a unit: an annotation of ``float`` or ``int``.

    A number is a JSON number: neither a text nor true or false, and finite. Raises
    nothing itself; a value outside is a fault of its field.
    """

    low: float
    high: float
    unit: str = ""
    is_above: bool = False
    """``low`` itself is outside."""

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the check of the range, and the bounds for the JSON schema."""
        del handler  # the number is checked here as a whole
        if source is int:
            bounded: CoreSchema = core_schema.int_schema(
                strict=True,
                ge=None if self.is_above else int(self.low),
                gt=int(self.low) if self.is_above else None,
                le=int(self.high),
            )
        else:
            bounded = core_schema.float_schema(
                strict=True,
                allow_inf_nan=False,
                ge=None if self.is_above else self.low,
                gt=self.low if self.is_above else None,
                le=self.high,
            )
        return core_schema.no_info_wrap_validator_function(self._check, bounded)

    def _check(self, value: Any, inner: ValidatorFunctionWrapHandler) -> object:  # noqa: ANN401 - what came over the wire
        try:
            return inner(value)
        except ValidationError:
            raise PydanticCustomError(
                "span",
                "a number {range} is asked for, not {given}",
                {"range": self.words, "given": _told(value)},
            ) from None

    @property
    def words(self) -> str:
        """The range as a sentence names it."""
        unit = f" {self.unit}" if self.unit else ""
        if self.is_above:
            return f"above {self.low:.10g} and up to {self.high:.10g}{unit}"
        return f"from {self.low:.10g} to {self.high:.10g}{unit}"


def _told(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    said = repr(value)
    return said if len(said) <= TOLD else f"{said[:TOLD]}..."
