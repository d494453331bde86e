"""Reading the ledger of a run: which blocks are safely on disk, how units ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import (
    LEDGER_LINE,
    BlockRecord,
    DiscardRecord,
    UnitRecord,
    UnitState,
)
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.line_index import lines_naming
from her2sr_proc.store.lines import numbered_lines


@dataclass(slots=True)
class UnitHistory:
    """What the ledger says of one unit and attempt."""

    key: UnitKey
    blocks: dict[int, BlockRecord] = field(default_factory=dict)
    verdict: UnitRecord | None = None
    """None: the burst has not ended, or its process died."""
    discarded: DiscardRecord | None = None
    """Set: the raw frames were given up after their results were verified."""

    @property
    def frames(self) -> int:
        """Frames that were safely on disk; they may be discarded since."""
        return sum(block.frames for block in self.blocks.values())

    def records(self) -> list[BlockRecord]:
        """Return the blocks in order of their frames."""
        return sorted(self.blocks.values(), key=lambda block: block.first_frame)


@dataclass(slots=True)
class UnitTally:
    """How many frames the ledger has of one unit and attempt, and how it ended."""

    key: UnitKey
    verdict: UnitRecord | None = None
    discarded: DiscardRecord | None = None
    _frames: dict[int, int] = field(default_factory=dict)
    """By block, below 0 where the bus did not take it; its last line counts."""

    def take(self, block: BlockRecord) -> None:
        """Count a block, in place of what was said of it before."""
        signed = block.frames if block.published else -block.frames
        self._frames[block.key.block] = signed

    @property
    def blocks(self) -> int:
        """How many there are."""
        return len(self._frames)

    @property
    def frames(self) -> int:
        """Frames that were safely on disk; they may be discarded since."""
        return sum(map(abs, self._frames.values()))

    @property
    def published(self) -> int:
        """Those of them that the bus took."""
        return sum(signed for signed in self._frames.values() if signed > 0)


def unit_of(key: UnitKey) -> UnitKey:
    """Return the unit that a block belongs to."""
    return UnitKey(
        run=key.run, field=key.field, channel=key.channel, attempt=key.attempt
    )


def read_ledger(
    path: Path, *, field: str = "", times: bool = True
) -> dict[UnitKey, UnitHistory]:
    """Return the history of every unit, in the order they first appear.

    With ``field`` of its units alone, which costs the same however long a run goes on.
    Without ``times`` blocks have none: they are most of what a long burst holds here.
    Raises `IntegrityError` when an acknowledged line is not a ledger line.
    """
    units: dict[UnitKey, UnitHistory] = {}
    for unit, line in _lines(path, field):
        history = units.setdefault(unit, UnitHistory(unit))
        if isinstance(line, BlockRecord):
            kept = line if times else line.model_copy(update={"t_s": ()})
            history.blocks[line.key.block] = kept
        elif isinstance(line, UnitRecord):
            history.verdict = line
        else:
            history.discarded = line
    return units


def read_tallies(path: Path) -> dict[UnitKey, UnitTally]:
    """Return how many frames the ledger has of every unit, as `read_ledger` orders it.

    Raises as it; holds no line of it.
    """
    units: dict[UnitKey, UnitTally] = {}
    for unit, line in _lines(path, ""):
        tally = units.setdefault(unit, UnitTally(unit))
        if isinstance(line, BlockRecord):
            tally.take(line)
        elif isinstance(line, UnitRecord):
            tally.verdict = line
        else:
            tally.discarded = line
    return units


def _lines(
    path: Path, field: str
) -> Iterator[tuple[UnitKey, BlockRecord | UnitRecord | DiscardRecord]]:
    """Yield the lines of all units or of a field's, each with its unit."""
    lines = lines_naming(path, field) if field else numbered_lines(path)
    for number, text in lines:
        try:
            line = LEDGER_LINE.validate_json(text)
        except ValidationError as exc:
            raise IntegrityError(
                f"{path.name} line {number} is not a ledger line; restore the file "
                f"from a copy, or run `her2sr recover`",
                path=str(path),
            ) from exc
        unit = unit_of(line.key)
        if not field or unit.field == field:
            yield unit, line


def counted_attempts(
    manifest: Manifest, histories: dict[UnitKey, UnitHistory], field: str
) -> dict[str, UnitKey]:
    """Return, by channel, the attempt whose frames answer for a field.

    The first attempt, whose dyes had no light before, where it is whole and nothing is
    held against it. Else the latest of those with most frames. A channel of which
    nothing is on disk has no entry.
    """
    chosen: dict[str, UnitKey] = {}
    for channel in manifest.channels:
        attempts = [
            history
            for key, history in histories.items()
            if key.field == field and key.channel == channel.name and history.blocks
        ]
        if attempts:
            most = max(history.frames for history in attempts)
            fresh = [h for h in attempts if h.frames == most and _is_sound(h)]
            best = max(fresh or attempts, key=lambda h: (h.frames, h.key.attempt))
            chosen[channel.name] = best.key
    return chosen


def _is_sound(history: UnitHistory) -> bool:
    verdict = history.verdict
    return (
        history.key.attempt == 1
        and verdict is not None
        and verdict.state is UnitState.COMPLETE
        and not verdict.not_scorable
    )
