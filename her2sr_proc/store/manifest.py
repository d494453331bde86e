"""Reading and writing ``manifest.json``; old versions are read here."""

from __future__ import annotations

import hashlib
import json

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from her2sr_proc.errors import DataError, StateError
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.schema.params import ProfileName
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.denoising import read_denoising
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.profiles import load_profile


def read_manifest(run: RunFolder) -> Manifest:
    """Return the manifest of a run folder, with the profile that is asked for.

    Raises `StateError` when the folder is no run folder, `DataError` when its
    manifest cannot be understood.
    """
    manifest = _read(run)
    if run.profile is None:
        return manifest
    seen: dict[str, object] = {"profile": load_profile(run.profile)}
    if run.denoised:
        seen["denoised_by"] = read_denoising(run).models
    return manifest.model_copy(update=seen)


def with_profile(run: RunFolder, name: ProfileName | None) -> RunFolder:
    """Return the run as a profile sees it; its own where None or its own is asked for.

    Raises as `read_manifest`.
    """
    is_own = name is None or name == _read(run).profile.name
    return RunFolder(run.root) if is_own else RunFolder(run.root, name)


def _read(run: RunFolder) -> Manifest:
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
        faults = exc.errors(include_url=False)
        if not (serious := [f for f in faults if f["loc"][:1] != ("profile",)]):
            return _with_profile_of_today(run, text)
        raise DataError(f"manifest.json of {run.name} {_trouble(serious[0])}") from exc


def _trouble(fault: ErrorDetails) -> str:
    """Return what is wrong with a manifest, and what helps."""
    said = fault["msg"][:1].lower() + fault["msg"][1:]
    where = ".".join(str(part) for part in fault["loc"])
    if not where:
        return f"is damaged ({said}); restore it from a copy"
    if where == "version" and isinstance(fault["input"], int):
        return f"has version {fault['input']!r}; install the newer her2sr that wrote it"
    return (
        f"is not understood at '{where}' ({said}); restore it from a copy, or install "
        f"the her2sr that wrote it"
    )


def _with_profile_of_today(run: RunFolder, text: str) -> Manifest:
    """Return a manifest whose settings an earlier program knew, with those of today.

    The file is not touched. The digest of what stood there says that they differ.
    """
    said = json.loads(text)
    former = said["profile"]
    name = former.get("name") if isinstance(former, dict) else None
    digest = hashlib.sha256(json.dumps(former, sort_keys=True).encode()).hexdigest()
    said |= {"profile": {"name": name}, "former_profile_digest": digest[:16]}
    try:
        return Manifest.model_validate(said)
    except ValidationError as exc:
        raise DataError(
            f"manifest.json of {run.name}: its profile '{name}' is none that this "
            f"program knows; install the her2sr that took the run"
        ) from exc


def write_manifest(run: RunFolder, manifest: Manifest) -> None:
    """Write the manifest whole."""
    write_text(run.manifest, manifest.model_dump_json(indent=2) + "\n")
