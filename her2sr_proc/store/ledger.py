"""Reading the ledger of a run: which blocks are safely on disk, how units ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import LEDGER_LINE, BlockRecord, UnitRecord
from her2sr_proc.store.lines import read_lines


@dataclass(slots=True)
class UnitHistory:
    """What the ledger says of one unit and attempt."""

    key: UnitKey
    blocks: dict[int, BlockRecord] = field(default_factory=dict)
    verdict: UnitRecord | None = None
    """None: the burst has not ended, or its process died."""

    @property
    def frames(self) -> int:
        """Frames that the ledger says are on disk."""
        return sum(block.frames for block in self.blocks.values())


def unit_of(key: UnitKey) -> UnitKey:
    """Return the unit that a block belongs to."""
    return UnitKey(
        run=key.run, field=key.field, channel=key.channel, attempt=key.attempt
    )


def read_ledger(path: Path) -> dict[UnitKey, UnitHistory]:
    """Return the history of every unit, in the order they first appear.

    Raises `IntegrityError` when an acknowledged line is not a ledger line.
    """
    units: dict[UnitKey, UnitHistory] = {}
    for number, text in enumerate(read_lines(path), start=1):
        try:
            line = LEDGER_LINE.validate_json(text)
        except ValidationError as exc:
            raise IntegrityError(
                f"{path.name} line {number} is not a ledger line; restore the file "
                f"from a copy, or run `her2sr recover`",
                path=str(path),
            ) from exc
        unit = unit_of(line.key)
        history = units.setdefault(unit, UnitHistory(unit))
        if isinstance(line, BlockRecord):
            history.blocks[line.key.block] = line
        else:
            history.verdict = line
    return units
