"""Which models clean the frames of a run for the fit, and a copy of each of them."""

from __future__ import annotations

from pydantic import ValidationError

from her2sr_proc.errors import DataError
from her2sr_proc.schema.denoise import Denoising
from her2sr_proc.store.atomic import write_bytes, write_text
from her2sr_proc.store.layout import RunFolder


def write_denoising(
    run: RunFolder, denoising: Denoising, files: dict[str, bytes]
) -> None:
    """Write the models of a run's denoised results, and last of all what they are.

    What stands there already is of the same models, by the folder's name, but may be
    half of them after a kill: all is written again. ``files``: by channel.
    """
    for channel, data in files.items():
        write_bytes(run.model(channel), data)
    write_text(run.denoising, denoising.model_dump_json(indent=2) + "\n")


def read_denoising(run: RunFolder) -> Denoising:
    """Return which models clean the frames. Raises `DataError`."""
    try:
        found = Denoising.model_validate_json(run.denoising.read_bytes())
    except (OSError, ValidationError) as exc:
        raise DataError(
            f"{run.denoising} does not say which models cleaned the frames; process "
            f"the run again with the same --model"
        ) from exc
    if found.digest != run.denoised:
        raise DataError(
            f"{run.denoising} names other models than its folder; remove the folder "
            f"and process the run again with --model"
        )
    return found
