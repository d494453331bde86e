"""A name that may stand in records: of a sample, or of whoever does something."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from her2sr_proc.schema.block import NAME


def pseudonym(value: str) -> str:
    """Return a name that may stand in records. Raises `ValueError` for any other."""
    if not re.fullmatch(NAME, value):  # `match` lets a final newline pass
        # a command line may hold bytes that are no text, which no sentence can hold
        shown = value.encode(errors="backslashreplace").decode()
        raise ValueError(
            f"'{shown}' is no pseudonym: use 1 to 64 letters, digits, '-' and '_', "
            f"and never a patient's name or number"
        )
    return value


Pseudonym = Annotated[
    str,
    AfterValidator(pseudonym),
    WithJsonSchema({"type": "string", "pattern": NAME}),
]
