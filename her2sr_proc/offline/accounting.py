"""Frames at every tap of a run: asked for, taken, written, sent, localized.

Reads the ledger and the metadata of the tables; opens no frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.manifest import ChannelFacts, Manifest
from her2sr_proc.schema.results import Accounting, UnitAccounting
from her2sr_proc.store.ensemble_light import light_frames
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitTally, read_tallies


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a merged table says of itself."""

    localized_frames: int
    replayed_frames: int
    profile_digest: str
    rows: int
    light_frames: int | None = None
    """Fitted as ensemble light; None: not told apart."""


def table_facts(path: Path) -> TableFacts | None:
    """Return what stands in a table's metadata; None without a table.

    Raises `IntegrityError` when the file is no table of this program.
    """
    if not path.exists():
        return None
    try:
        with pq.ParquetFile(path) as file:
            said = {
                key.decode(): value.decode()
                for key, value in (file.schema_arrow.metadata or {}).items()
            }
            return TableFacts(
                localized_frames=int(said["localized_frames"]),
                replayed_frames=int(said["replayed_frames"]),
                profile_digest=said["profile_digest"],
                rows=file.metadata.num_rows,
                light_frames=light_frames(said),
            )
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as exc:
        raise IntegrityError(
            f"{path.parent.name}/{path.name} is not a whole localization table; "
            f"remove it and process the run again",
            path=str(path),
        ) from exc


def account(
    run: RunFolder,
    manifest: Manifest,
    tallies: Mapping[UnitKey, UnitTally] | None = None,
) -> Accounting:
    """Return the frames of every planned unit, and of every further attempt.

    A field that was not chosen is not asked for; a later attempt of it is.
    ``tallies``: of the ledger, where it was read just now.
    """
    if tallies is None:
        tallies = read_tallies(run.ledger)
    left_out = manifest.selection.skipped if manifest.selection else {}
    keys = [
        UnitKey(run=manifest.run, field=field.name, channel=channel.name)
        for field in manifest.fields
        if field.name not in left_out
        for channel in manifest.channels
    ]
    planned = set(keys)
    keys += [
        key
        for key, tally in tallies.items()
        if key not in planned
        and not (key.field in left_out and _state(tally)[0] == UnitState.SKIPPED)
    ]
    keys.sort(key=lambda key: (key.field, key.attempt))
    units = tuple(
        _unit(run, manifest.channel(key.channel), key, tallies.get(key)) for key in keys
    )
    return Accounting(
        requested=sum(unit.requested for unit in units),
        delivered=sum(unit.delivered for unit in units),
        written=sum(unit.written for unit in units),
        published=sum(unit.published for unit in units),
        replayed=sum(unit.replayed for unit in units),
        localizable=sum(unit.localizable for unit in units),
        localized=sum(unit.localized for unit in units),
        units=units,
    )


def _unit(
    run: RunFolder, channel: ChannelFacts, key: UnitKey, tally: UnitTally | None
) -> UnitAccounting:
    table = table_facts(run.table(key))
    state, reason = _state(tally)
    tally = tally or UnitTally(key)
    verdict, written = tally.verdict, tally.frames
    return UnitAccounting(
        field=key.field,
        channel=key.channel,
        attempt=key.attempt,
        state=state,
        reason=reason,
        requested=verdict.requested if verdict else channel.frames,
        delivered=verdict.delivered if verdict else written,
        written=written,
        published=tally.published,
        replayed=table.replayed_frames if table else 0,
        localizable=written if channel.role == "signal" else 0,
        localized=table.localized_frames if table else 0,
        localizations=table.rows if table else 0,
        ensemble_light_frames=table.light_frames if table else None,
    )


def _state(tally: UnitTally | None) -> tuple[str, str]:
    if tally is None:
        return UnitState.PLANNED.value, "never begun"
    if tally.verdict is None:
        return UnitState.PARTIAL.value, "the ledger has no end of this burst"
    return tally.verdict.state.value, tally.verdict.reason
