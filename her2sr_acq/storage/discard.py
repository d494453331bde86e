"""What a protocol lets go of at the end of a run: raw frames with proven results."""

from __future__ import annotations

from collections.abc import Callable

from her2sr_acq.plan.models import EveryNth, KeepRaw, NucleiOnly
from her2sr_proc.errors import DataError
from her2sr_proc.schema.ledger import DiscardRecord
from her2sr_proc.store import retention
from her2sr_proc.store.layout import RunFolder

PROVEN = "complete, localized, and every image readable"


def discard_raw(
    run: RunFolder,
    policy: KeepRaw,
    record: Callable[[DiscardRecord], None],
    stamp: Callable[[], str],
) -> list[str]:
    """Discard raw frames as a protocol says; return a sentence for each unit.

    A unit whose results are not all proven keeps every frame, and its sentence says
    why. Safe to do again, also after a crash. Raises what ``record`` raises.
    """
    if policy == "all":
        return []
    every_nth = policy.every_nth if isinstance(policy, EveryNth) else 0
    margin_um = policy.nuclei_only if isinstance(policy, NucleiOnly) else 0.0
    manifest, fields = retention.run_units(run)
    said = []
    for history in (unit for units in fields.values() for unit in units):
        where = f"{history.key.field}/{history.key.channel}"
        of_field = {unit.key: unit for unit in fields[history.key.field]}
        kept = history.discarded is None and retention.why_kept(
            run, manifest, history, of_field
        )
        if kept:
            said.append(f"{where}: raw frames are kept, since {kept}")
            continue
        try:
            order = retention.Order("protocol", PROVEN, stamp(), every_nth, margin_um)
            done = retention.discard(run, history, record, order)
        except DataError as exc:
            said.append(f"{where}: raw frames are kept, since {exc}")
        else:
            said.append(f"{where}: {_told(done)}")
    return said


def _told(done: DiscardRecord) -> str:
    if done.crop is None:
        return f"{done.frames} raw frames discarded, {done.kept_frames} kept"
    return (
        f"{done.frames} raw frames cut to {len(done.crop.boxes)} nuclei, "
        f"{100 * done.crop.share:.1f} % of their pixels"
    )
