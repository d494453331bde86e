"""One unit (field x channel) with all that the steps on it ask for."""

from __future__ import annotations

from dataclasses import dataclass, field

from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit with all that its steps ask for."""

    run: RunFolder
    manifest: Manifest
    history: UnitHistory
    camera: CameraMaps
    watch: Stopwatch = field(default_factory=Stopwatch, compare=False)
    """Told how long every step takes."""

    @property
    def key(self) -> UnitKey:
        """Field, channel and attempt."""
        return self.history.key

    @property
    def is_signal(self) -> bool:
        """Whether its frames are to be localized."""
        return self.manifest.channel(self.key.channel).role == "signal"

    def records(self) -> list[BlockRecord]:
        """Return the blocks on disk, in order."""
        return [record for _, record in sorted(self.history.blocks.items())]
