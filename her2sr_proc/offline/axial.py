"""How far the focus drifted along the axis in a burst, by the stacks around it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from her2sr_proc.schema.counts import FieldGeometry
from her2sr_proc.schema.ledger import UnitRecord
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.ledger import UnitHistory


def drifts_um(
    manifest: Manifest, answering: Mapping[str, UnitHistory]
) -> dict[str, float]:
    """Return by channel how far the sharpest plane went until the next burst.

    Each stack stands around its own channel's plane, so that the colours' known offset
    is in none of them. The last burst of a field has no stack after it, and none is
    guessed.
    """
    units = [
        history.verdict
        for channel in manifest.with_role("signal")
        if (history := answering.get(channel.name)) is not None
        and history.verdict is not None
    ]
    units.sort(key=lambda unit: unit.started_utc)
    found = {}
    for first, second in pairwise(units):
        began, ended = _best(first), _best(second)
        if began is not None and ended is not None:
            found[first.key.channel] = ended - began
    return found


def with_axial_drift(
    geometry: FieldGeometry, manifest: Manifest, answering: Mapping[str, UnitHistory]
) -> FieldGeometry:
    """Return a field's geometry with the drift along the axis where stacks tell it."""
    found = drifts_um(manifest, answering)
    channels = {
        name: channel.model_copy(update={"drift_z_um": found.get(name)})
        for name, channel in geometry.channels.items()
    }
    return geometry.model_copy(update={"channels": channels})


def _best(unit: UnitRecord) -> float | None:
    """Return the sharpest plane from where the channel's own plane was held."""
    return None if unit.stack is None else unit.stack.best_um
