"""Reading and writing ``manifest.json``; old versions are read here."""

from __future__ import annotations

from pydantic import ValidationError

from her2sr_proc.errors import DataError, StateError
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.layout import RunFolder


def read_manifest(run: RunFolder) -> Manifest:
    """Return the manifest of a run folder.

    Raises `StateError` when the folder is no run folder, `DataError` when its
    manifest cannot be understood.
    """
    try:
        text = run.manifest.read_text()
    except OSError as exc:
        raise StateError(
            f"{run.root} is not a run folder: it has no manifest.json"
        ) from exc
    except UnicodeDecodeError as exc:
        raise DataError(
            f"manifest.json of {run.name} is damaged: it is no text; restore it from "
            f"a copy"
        ) from exc
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as exc:
        fault = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise DataError(
            f"manifest.json of {run.name}: '{where}': {fault['msg']}"
        ) from exc


def write_manifest(run: RunFolder, manifest: Manifest) -> None:
    """Write the manifest whole."""
    write_text(run.manifest, manifest.model_dump_json(indent=2) + "\n")
