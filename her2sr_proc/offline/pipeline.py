"""From frames on disk to an answer: the same steps live, field by field, and offline.

Every step may be done again at any time and writes only whole files.
"""

from __future__ import annotations

from collections.abc import Callable

from her2sr_proc.offline.fields import close_field
from her2sr_proc.offline.runs import close_run
from her2sr_proc.offline.units import close_unit
from her2sr_proc.schema.results import RunResult
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest

__all__ = ["close_field", "close_run", "close_unit", "process_run"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def process_run(run: RunFolder, progress: Progress) -> RunResult:
    """Compute whatever is missing in a run folder, and answer anew.

    Raises `StateError` when the folder is no run folder, `DataError` when its
    manifest or ledger cannot be understood.
    """
    manifest = read_manifest(run)
    units = [key for key, unit in read_ledger(run.ledger).items() if unit.blocks]
    total = len(units) + len(manifest.fields) + 1
    for done, key in enumerate(units):
        progress(f"{key.field}/{key.channel}", done, total)
        close_unit(run, key)
    for done, field in enumerate(manifest.fields, start=len(units)):
        progress(f"{field.name} nuclei and counts", done, total)
        close_field(run, field.name)
    progress("report", total - 1, total)
    result = close_run(run)
    progress("done", total, total)
    return result
