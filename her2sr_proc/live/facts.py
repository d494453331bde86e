"""What acquisition may ask about frames that are on disk: numbers, not files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from her2sr_proc.errors import DataError, StateError
from her2sr_proc.live.counted import scorable_counts
from her2sr_proc.live.questions import Body
from her2sr_proc.overview import nuclei_in_overview
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.table import Localizations
from her2sr_proc.scoring import ratio_interval
from her2sr_proc.segmentation.choice import segment
from her2sr_proc.store import raw
from her2sr_proc.store.images import read_tiff
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import count_parquet, read_parquet

MOST_FRAMES = 100
"""Of a unit whose mean shows the nuclei: more make it no clearer."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Answers about the runs of one data folder."""

    data: DataFolder

    def localizations(self, unit: UnitKey) -> Body:
        """Return how many localizations each block gave that is localized by now.

        Raises `StateError` for a unit of which nothing is on disk.
        """
        run = self.data.run(unit.run)
        history = _history(run, unit)
        merged = _table(run, unit)
        counts: dict[str, int] = {}
        for number, block in sorted(history.blocks.items()):
            if merged is not None:
                frame = np.asarray(merged["frame"], np.int64)
                last = block.first_frame + block.frames
                counts[str(number)] = int(
                    ((frame >= block.first_frame) & (frame < last)).sum()
                )
            elif (part := run.table_part(unit, number)).exists():
                counts[str(number)] = count_parquet(part)
        return {"blocks": dict(counts), "written": len(history.blocks)}

    def summary(self, unit: UnitKey) -> Body:
        """Return how many localizations a finished unit has, how bright, how wide.

        Raises `StateError` while its table is not made.
        """
        run = self.data.run(unit.run)
        history = _history(run, unit)
        table = _table(run, unit)
        if table is None:
            raise StateError(
                f"the table of {unit.field}/{unit.channel} is not made yet; ask again "
                f"after close_unit"
            )
        body: Body = {"localizations": len(table), "frames": history.frames}
        if len(table):
            for name in ("photons", "sigma_nm", "uncertainty_nm"):
                values = np.asarray(table[name], np.float64)
                body[f"median_{name}"] = float(np.median(values))
        return body

    def scorable(self, run: str) -> Body:
        """Return the nuclei of a run that may be scored by now, and the ratio's width.

        Never the ratio itself, nor a group: who asks decides how long a run goes on.
        """
        folder = self.data.run(run)
        manifest = read_manifest(folder)
        counts = scorable_counts(folder, manifest)
        sizes = {name: len(of_field) for name, of_field in counts.items()}
        together = np.concatenate([np.empty((0, 2), np.int64), *counts.values()])
        codes = np.repeat(np.arange(len(sizes)), list(sizes.values()))
        found = ratio_interval(together[:, 0], together[:, 1], field=codes)
        return {
            "fields": dict(sizes),
            "nuclei": len(together),
            "width": None if found is None else found[1] - found[0],
        }

    def nuclei(self, unit: UnitKey) -> Body:
        """Return where the nuclei lie in the mean of a unit's first frames.

        Raises `StateError` for a unit of which nothing is on disk, `DataError` when
        its frames cannot be read.
        """
        run = self.data.run(unit.run)
        manifest = read_manifest(run)
        history = _history(run, unit)
        total, frames = np.zeros((manifest.frame_height, manifest.frame_width)), 0
        for block in history.records():
            if frames >= MOST_FRAMES:
                break
            pixels = raw.read_block(run.raw(unit), block)
            total += pixels.sum(axis=0, dtype=np.float64)
            frames += len(pixels)
        if not frames:
            raise DataError(f"{unit.field}/{unit.channel} has no frame on disk")
        found = segment(
            (total / frames).astype(np.float32),
            pixel_um=manifest.camera.pixel_nm / 1000.0,
            params=manifest.profile.nuclei,
        )
        labels = [int(n) for n in np.unique(found.labels) if n]
        centres = [np.argwhere(found.labels == n).mean(axis=0) for n in labels]
        return {
            "nuclei": len(labels),
            "centres_px": [[float(x), float(y)] for y, x in centres],
            "method": found.method,
            "frames": frames,
        }

    def overview_nuclei(self, run: str, field: str) -> Body:
        """Return how much of a tile's overview picture is nucleus.

        Raises `StateError` where there is no picture, `DataError` when it cannot be
        read.
        """
        folder = self.data.run(run)
        path = folder.overview_image(field)
        if not path.exists():
            raise StateError(
                f"there is no overview picture of {field} in run {run}; ask once it "
                f"is taken"
            )
        pixel_um = read_manifest(folder).camera.pixel_nm / 1000.0
        found = nuclei_in_overview(read_tiff(path), pixel_um=pixel_um)
        return {"nuclei": found.nuclei, "share": round(found.share, 6)}


def _history(run: RunFolder, unit: UnitKey) -> UnitHistory:
    history = read_ledger(run.ledger, field=unit.field).get(unit)
    if history is None:
        raise StateError(
            f"nothing of {unit.field}/{unit.channel} is on disk in run {unit.run}; ask "
            f"once its burst has begun"
        )
    return history


def _table(run: RunFolder, unit: UnitKey) -> Localizations | None:
    """Return the merged table; None until it is made."""
    if not run.table(unit).exists():
        return None
    table, _ = read_parquet(run.table(unit))
    return table
