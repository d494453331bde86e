"""What grows with the fields of a run, and with the frames of a unit in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from growth_cases import BLOCK, SMALL_PX, blinks, quiet, void
from run_folders import add_unit, make_run

from her2sr_proc.offline.accounting import account
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.ledger import BlockRecord, UnitRecord, UnitState
from her2sr_proc.store import raw, retention
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.tables import write_parquet

UNIT_FRAMES, UNIT_BLOCK, UNIT_PX = 40, 2, 48


class Runs:
    """Runs of many small fields, two channels each, made once a size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _made(self, fields: int):
        run = self._folder / f"run{fields}"
        shutil.rmtree(run, ignore_errors=True)
        names = tuple(f"r00_c{n:03d}" for n in range(fields))
        sizes = {"561": UNIT_FRAMES, "405": UNIT_FRAMES}
        made = make_run(run, frames=sizes, size=UNIT_PX, fields=names)
        rng = np.random.default_rng(1)
        shape = (UNIT_FRAMES, UNIT_PX, UNIT_PX)
        for channel in sizes:
            adu = rng.poisson(140, shape).astype(np.uint16)
            adu[:, 20:23, 20:23] += 300
            add_unit(made, channel, adu, field=names[0], block=UNIT_BLOCK)
        lines = made.ledger.read_text()
        for name in names[1:]:  # as it is: what is forced to disk takes its time
            shutil.copytree(run / "raw" / names[0], run / "raw" / name)
            with made.ledger.open("a") as ledger:
                ledger.write(lines.replace(names[0], name))
        return made

    def processing(self, fields: int) -> Callable[[], None]:
        run = self._made(fields)

        def work():
            for made in ("localizations", "images", "nuclei", "results"):
                shutil.rmtree(run.root / made, ignore_errors=True)
            process_run(run, quiet, jobs=1)

        return work

    def processing_again(self, fields: int) -> Callable[[], None]:
        run = self._done(fields)
        return lambda: void(process_run(run, quiet, jobs=1))

    def verifying(self, fields: int) -> Callable[[], None]:
        run = self._done(fields)
        return lambda: void(verify(run, quiet))

    def accounting(self, fields: int) -> Callable[[], None]:
        run = self._done(fields)
        return lambda: void(account(run, read_manifest(run)))

    def accounting_frames(self, frames: int) -> Callable[[], None]:
        run = self._one_unit(frames)
        return lambda: void(account(run, read_manifest(run)))

    def verifying_frames(self, frames: int) -> Callable[[], None]:
        run = self._one_unit(frames)

        def work():
            if not verify(run, quiet).is_sound:
                raise AssertionError("a run that was made whole is not found so")

        return work

    def ledger_by_field(self, fields: int) -> Callable[[], None]:
        """Return what the end of every unit asks of a ledger that grows with it."""
        made = self._made(fields)
        names = [field.name for field in read_manifest(made).fields]
        lines = made.ledger.read_bytes().splitlines(keepends=True)
        each = len(lines) // fields
        ledger = self._folder / f"run{fields}" / "growing" / "ledger.jsonl"

        def work():
            shutil.rmtree(ledger.parent, ignore_errors=True)
            ledger.parent.mkdir()
            for n, name in enumerate(names):
                with ledger.open("ab") as file:
                    file.writelines(lines[n * each : (n + 1) * each])
                found = read_ledger(ledger, field=name)
                assert all(unit.verdict for unit in found.values())

        return work

    def releasing(self, fields: int) -> Callable[[], None]:
        """Return the question, for every unit, whether its raw frames may go."""
        run = self._done(fields)

        def work():
            manifest, fields = retention.run_units(run)
            for units in fields.values():
                of_field = {unit.key: unit for unit in units}
                for unit in units:
                    retention.why_kept(run, manifest, unit, of_field)

        return work

    def _done(self, fields: int):
        run = self._folder / f"run{fields}"
        if not (run / "results" / "result.json").exists():
            process_run(self._made(fields), quiet, jobs=1)
        return RunFolder(run)

    def _one_unit(self, frames: int) -> RunFolder:
        """Return a run of one field and channel, with the table of its frames."""
        root = self._folder / "long-run"
        shutil.rmtree(root, ignore_errors=True)
        run = make_run(root, frames={"561": frames}, size=SMALL_PX)
        unit = UnitKey(run=run.name, field="r00_c00", channel="561")
        rng = np.random.default_rng(1)
        adu = rng.poisson(140, (BLOCK, SMALL_PX, SMALL_PX)).astype(np.uint16)
        shape = raw.RawShape(frames, SMALL_PX, SMALL_PX, BLOCK)
        path = run.raw(unit)
        raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name="561")
        with run.ledger.open("w") as ledger:  # forced to disk block by block elsewhere
            for number in range(frames // BLOCK):
                size, digest = raw.write_block(path, number, adu)
                record = BlockRecord(
                    key=BlockKey(**unit.model_dump(), block=number),
                    first_frame=number * BLOCK,
                    frames=BLOCK,
                    bytes=size,
                    sha256=digest,
                    t_s=tuple(0.03 * n for n in range(BLOCK)),
                    published=True,
                )
                ledger.write(record.model_dump_json() + "\n")
            ledger.write(_whole(unit, frames).model_dump_json() + "\n")
        facts = {
            "localized_frames": str(frames),
            "replayed_frames": "0",
            "profile_digest": read_manifest(run).profile.digest,
        }
        write_parquet(run.table(unit), blinks(frames, 4, SMALL_PX), facts)
        return run


def _whole(unit: UnitKey, frames: int) -> UnitRecord:
    return UnitRecord(
        key=unit,
        state=UnitState.COMPLETE,
        requested=frames,
        delivered=frames,
        written=frames,
        published=frames,
        started_utc="2026-01-01T00:00:00Z",
        ended_utc="2026-01-01T08:00:00Z",
    )
