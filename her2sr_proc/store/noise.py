"""What was found of the noise of a unit's frames, beside its images."""

from __future__ import annotations

from pydantic import ValidationError

from her2sr_proc.schema.noise import NoiseFacts
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import RunFolder


def write_noise(run: RunFolder, field: str, channel: str, facts: NoiseFacts) -> None:
    """Write the facts whole."""
    write_text(run.noise(field, channel), facts.model_dump_json() + "\n")


def read_noise(run: RunFolder, field: str, channel: str) -> NoiseFacts | None:
    """Return the facts; None: never looked at, as in runs of earlier programs."""
    try:
        return NoiseFacts.model_validate_json(run.noise(field, channel).read_bytes())
    except (OSError, ValidationError):
        return None
