"""Protocols from files and from the package, with single values overridden."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue, ValidationError

from her2sr_acq.config import describe
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.models import Protocol
from her2sr_acq.plan.select import SelectPlan, idle_keys

PRESETS = Path(str(files("her2sr_acq"))) / "plan" / "presets"


def known() -> list[str]:
    """Return the names of the packaged protocols."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def packaged(name: str) -> Protocol:
    """Return a packaged protocol. Raises `PlanRejectedError` listing the known ones."""
    if name not in known():
        raise PlanRejectedError(
            f"no protocol '{name}'; choose one of: {', '.join(known())}", protocol=name
        )
    return read(PRESETS / f"{name}.yaml")


def find(name_or_path: str) -> Protocol:
    """Return a protocol from a file of that path, or the packaged one of that name.

    Raises `PlanRejectedError` when there is neither, or the file is wrong.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return read(path)
    if name_or_path in known():
        return packaged(name_or_path)
    raise PlanRejectedError(
        f"no protocol '{name_or_path}'; give the path of a .yaml file, or one of: "
        f"{', '.join(known())}",
        protocol=name_or_path,
    )


def read(path: Path) -> Protocol:
    """Read and check one file. Raises `PlanRejectedError` naming the key."""
    try:
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise PlanRejectedError(f"{path.name} cannot be read as YAML: {exc}") from exc
    if not isinstance(data, dict):
        raise PlanRejectedError(
            f"{path.name} must hold keys and values, such as 'name: ...'"
        )
    chosen = data.get("select")
    if isinstance(chosen, dict) and isinstance(chosen.get("regions"), str):
        data["select"] = chosen | {"regions": regions(path.parent / chosen["regions"])}
    return _validated(data, path.name)


def regions(path: Path) -> JsonValue:
    """Return the content of a GeoJSON file, as ``select.regions`` holds it.

    Raises `PlanRejectedError` for a file that is none.
    """
    try:
        found: JsonValue = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise PlanRejectedError(
            f"{path.name} cannot be read as GeoJSON ({exc}); export areas from QuPath"
        ) from exc
    if isinstance(found, list):  # QuPath's older exports are bare lists
        return {"type": "FeatureCollection", "features": found}
    return found


def parse_override(text: str) -> tuple[str, JsonValue]:
    """Split ``key=value`` as given to ``--set``; the value is read as YAML.

    Raises `PlanRejectedError` for a text without a key or a value.
    """
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise PlanRejectedError(f"'{text}' is not of the form key=value")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as exc:
        raise PlanRejectedError(f"the value of '{text}' cannot be read: {exc}") from exc


def override(protocol: Protocol, values: Mapping[str, JsonValue]) -> Protocol:
    """Return the protocol with dotted keys replaced, checked as a whole again.

    A channel is addressed by its name: ``channels.561.frames``.
    """
    data = protocol.model_dump(mode="json")
    if data["select"] is None and any(key.startswith("select.") for key in values):
        data["select"] = SelectPlan().model_dump(mode="json")
    if (choose := values.get("select.choose")) is not None:
        # What belongs to the former way to choose alone goes with it.
        default = SelectPlan().model_dump(mode="json")
        data["select"] |= {name: default[name] for name in idle_keys(choose)}
    for key, value in values.items():
        *parents, last = key.split(".")
        node = data
        for step in parents:
            node = _into(node, step, key)
        _into(node, last, key)
        if not isinstance(node, dict):
            raise PlanRejectedError(
                f"'{key}' names a whole channel; name one of its keys", key=key
            )
        node[last] = value
    return _validated(data, "the protocol with its overrides")


def _into(node: Any, step: str, key: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, list) and node and isinstance(node[0], dict):
        node = {entry["name"]: entry for entry in node}
    if not isinstance(node, dict) or step not in node:
        choices = ", ".join(node) if isinstance(node, dict) else "nothing below it"
        raise PlanRejectedError(
            f"the protocol has no key '{key}': where '{step}' stands there is "
            f"{choices}",
            key=key,
        )
    return node[step]


def _validated(data: dict[str, Any], source: str) -> Protocol:
    try:
        return Protocol.model_validate(data)
    except ValidationError as exc:
        raise PlanRejectedError(f"{source}: {describe(exc)}") from exc
