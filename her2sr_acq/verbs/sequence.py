"""Tile plans as `useq` sequences, which other programs of microscopes read and write.

A sequence holds where the stage goes and in which order the channels come. What it has
no word for (frames of a burst, powers, probes) goes along as metadata, and a sequence
of another program is put onto a protocol that has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from her2sr_acq import config as configuration
from her2sr_acq.config import DeviceConfig
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.frame import frame_shape
from her2sr_acq.plan.models import Grid, Protocol
from her2sr_acq.plan.tiling import frame_um, tiles
from her2sr_acq.yaml_file import describe
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.atomic import write_text

if TYPE_CHECKING:
    from useq import MDASequence

KEY = "her2sr"
SUFFIXES = (".json", ".yaml", ".yml")
LARGEST_BYTES = 10_000_000
MOST_FIELDS = 1000
SAME_UM = 1e-6
"""Places are the same up to how numbers are written."""


def placed(
    protocol: Protocol,
    config: DeviceConfig | None,
    centre_um: tuple[float, float] | None,
) -> tuple[FieldFacts, ...]:
    """Return the tiles of a protocol where the stage would go.

    Raises `PlanRejectedError` when that cannot be known.
    """
    grid = protocol.grid
    if grid.positions:
        return tiles(grid, centre_um=(0.0, 0.0), size_um=(0.0, 0.0))
    centre = grid.centre if centre_um is None else centre_um
    if isinstance(centre, str):
        raise PlanRejectedError(
            "the grid's centre is where the stage stands when it starts; say where "
            "that is with --centre X,Y in um"
        )
    if config is None:
        raise PlanRejectedError(
            "the size of a tile is the microscope's; name it with --config"
        )
    height, width = frame_shape(protocol, config)
    pixel_nm = config.camera.model.pixel_nm
    size = frame_um(height=height, width=width, pixel_nm=pixel_nm)
    return tiles(grid, centre_um=centre, size_um=size)


def sequence_of(protocol: Protocol, fields: Iterable[FieldFacts]) -> MDASequence:
    """Return a protocol as a sequence: fields in turn, in each of them the channels."""
    from useq import MDASequence

    fields = tuple(fields)
    held = {
        "banner": BANNER,
        "protocol": protocol.model_dump(mode="json"),
        "places": [[field.x_um, field.y_um] for field in fields],
    }
    return MDASequence.model_validate(
        {
            "axis_order": "pc",
            "stage_positions": [
                {"name": field.name, "x": field.x_um, "y": field.y_um}
                for field in fields
            ],
            "channels": [
                {
                    "config": channel.name,
                    "exposure": channel.exposure_ms,
                    "z_offset": channel.z_offset_um,
                }
                for channel in protocol.channels
            ],
            "metadata": {KEY: held},
        }
    )


def protocol_of(sequence: MDASequence, onto: Protocol | None) -> Protocol:
    """Return the protocol that a sequence means.

    Without ``onto`` it is the one that the sequence carries; with its places unchanged
    that is returned as it was. Raises `PlanRejectedError` for what no protocol can say.
    """
    _refuse_foreign(sequence)
    held = sequence.metadata.get(KEY)
    held = held if isinstance(held, dict) else {}
    base = onto or _carried(held)
    places = _places(sequence)
    changed = base.model_dump(mode="json")
    if sequence.channels:
        changed["channels"] = _channels(sequence, base)
    if onto is not None or not _are_same(places, held.get("places")):
        grid = Grid(positions=tuple(places)).model_dump(mode="json")
        changed["grid"] = grid
    try:
        return Protocol.model_validate(changed)
    except ValidationError as exc:
        raise PlanRejectedError(f"the sequence: {describe(exc)}") from exc


def write_sequence(sequence: MDASequence, out: Path) -> None:
    """Write JSON or YAML, as the name says, whole or not at all."""
    _require_suffix(out)
    data = sequence.model_dump(mode="json", exclude_unset=True)
    if out.suffix == ".json":
        write_text(out, json.dumps(data, indent=2) + "\n")
    else:
        write_text(out, yaml.safe_dump(data, sort_keys=False))


def read_sequence(path: Path) -> MDASequence:
    """Read JSON or YAML. Raises `PlanRejectedError` for what is no sequence."""
    from useq import MDASequence

    _require_suffix(path)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES + 1)
        if len(text) > LARGEST_BYTES:
            raise PlanRejectedError(f"{path.name} is too large for a sequence")
        data: Any = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as exc:
        raise PlanRejectedError(f"{path.name} cannot be read: {exc}") from exc
    if not isinstance(data, dict):
        raise PlanRejectedError(f"{path.name} is no useq sequence: no keys and values")
    try:
        return MDASequence.model_validate(data)
    except ValidationError as exc:
        raise PlanRejectedError(
            f"{path.name} is no useq sequence: {describe(exc)}"
        ) from exc


def microscope(name: str | None) -> DeviceConfig | None:
    """Return a configuration by name or path, or none."""
    return None if name is None else configuration.load(configuration.resolve(name))


def parse_centre(text: str | None) -> tuple[float, float] | None:
    """Return stage x and y of ``X,Y``. Raises `PlanRejectedError` otherwise."""
    if text is None:
        return None
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise PlanRejectedError(
            f"'{text}' is no centre; write X,Y in um, such as 120,-40"
        ) from None
    if not (abs(x) < float("inf") and abs(y) < float("inf")):
        raise PlanRejectedError(f"'{text}' is no place of a stage; write X,Y in um")
    return x, y


def _require_suffix(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise PlanRejectedError(
            f"{path.name} must end in one of: {', '.join(SUFFIXES)}"
        )


def _refuse_foreign(sequence: MDASequence) -> None:
    """Refuse what would silently be left out."""
    parts = {
        "z_plan": sequence.z_plan,
        "time_plan": sequence.time_plan,
        "autofocus_plan": sequence.autofocus_plan,
    }
    for position in sequence.stage_positions:
        inner = getattr(position, "sequence", None)
        if inner is not None:
            names = ("z_plan", "time_plan", "autofocus_plan", "channels")
            parts |= {f"stage_positions.{n}": getattr(inner, n) for n in names}
    for name, part in parts.items():
        if part:
            raise PlanRejectedError(
                f"a protocol says in its own words what the sequence's {name} says; "
                f"take it out, and set focus, stacks and frames in the protocol"
            )


def _carried(held: dict[str, Any]) -> Protocol:
    if "protocol" not in held:
        raise PlanRejectedError(
            "the sequence carries no protocol, and has no word for frames and powers; "
            "name one with --onto"
        )
    try:
        return Protocol.model_validate(held["protocol"])
    except ValidationError as exc:
        raise PlanRejectedError(
            f"the protocol in the sequence: {describe(exc)}"
        ) from exc


def _places(sequence: MDASequence) -> list[tuple[float, float]]:
    """Return where the stage goes, each place once, in order; grids are laid out."""
    found: dict[tuple[float, float], None] = {}
    for event in sequence:
        if event.x_pos is None or event.y_pos is None:
            raise PlanRejectedError(
                "the sequence goes to no place of its own; give every stage position "
                "its x and y"
            )
        found[(float(event.x_pos), float(event.y_pos))] = None
        if len(found) > MOST_FIELDS:
            raise PlanRejectedError(
                f"the sequence has more than {MOST_FIELDS} places; take fewer"
            )
    if not found:
        raise PlanRejectedError("the sequence goes nowhere; give it stage positions")
    return list(found)


def _channels(sequence: MDASequence, base: Protocol) -> list[dict[str, Any]]:
    known = {channel.name: channel for channel in base.channels}
    found = []
    for channel in sequence.channels:
        if channel.config not in known:
            raise PlanRejectedError(
                f"the sequence has a channel '{channel.config}', the protocol has: "
                f"{', '.join(known)}; name them alike"
            )
        changes: dict[str, float] = {}
        if channel.exposure is not None:
            changes["exposure_ms"] = channel.exposure
        if channel.z_offset:
            changes["z_offset_um"] = channel.z_offset
        found.append(known[channel.config].model_dump(mode="json") | changes)
    return found


def _are_same(places: list[tuple[float, float]], held: object) -> bool:
    if not isinstance(held, list) or len(held) != len(places):
        return False
    try:
        return all(
            abs(x - float(was[0])) < SAME_UM and abs(y - float(was[1])) < SAME_UM
            for (x, y), was in zip(places, held, strict=True)
        )
    except (TypeError, ValueError, IndexError):
        return False
