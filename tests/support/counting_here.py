"""A localizer in this process, for what is asked within a burst: no socket, no lag."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fake_localizer import FakeLocalizer

from her2sr_acq.stream.envelope import Answer, Fault
from her2sr_proc.live.recipe import Recipe
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.calibrations import camera_of
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest


@dataclass
class CountingHere(FakeLocalizer):
    """Localizes the blocks of a unit that are on disk when it is asked."""

    data: Path = Path()
    found: dict[BlockKey, int] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)

    def _localizations(self, unit: dict) -> Answer:
        key = UnitKey.model_validate(unit)
        run = DataFolder(self.data).run(key.run)
        history = read_ledger(run.ledger, field=key.field).get(key)
        if history is None:
            return Answer(ok=False, error=Fault(code="bad-state", message="not yet"))
        counts = {}
        for number, block in history.blocks.items():
            if block.key not in self.found:
                localizer = self._recipe(key.run).localizer(key.channel)
                adu = raw.read_block(run.raw(key), block)
                table = localizer.block(adu, first_frame=block.first_frame)
                self.found[block.key] = len(table)
            counts[str(number)] = self.found[block.key]
        return Answer(ok=True, body={"blocks": counts, "written": len(counts)})

    def _recipe(self, run: str) -> Recipe:
        if run not in self.recipes:
            folder = DataFolder(self.data).run(run)
            manifest = read_manifest(folder)
            self.recipes[run] = Recipe(manifest, camera_of(folder, manifest))
        return self.recipes[run]
