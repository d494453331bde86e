"""A YAML file that a person wrote: read as keys and values, its faults said in words.

Knows neither configurations nor protocols; whoever reads one names the error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from her2sr_acq.errors import AcqError


def read_mapping(path: Path, refuse: type[AcqError]) -> dict[str, Any]:
    """Return the keys and values of a file. Raises ``refuse`` where it has none."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise refuse(f"{path.name} cannot be read as YAML: {exc}") from exc
    if not isinstance(data, dict):
        raise refuse(f"{path.name} must hold keys and values, such as 'name: ...'")
    return data


def describe(error: ValidationError) -> str:
    """Return the first fault of a validation as one sentence with its key path."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"]) or "top level"
    more = error.error_count() - 1
    tail = f" (and {more} more)" if more else ""
    return f"'{key}': {fault['msg'].removeprefix('Value error, ')}{tail}"
