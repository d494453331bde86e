"""What stays of the raw frames once a run is processed, as its protocol says."""

from __future__ import annotations

from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.storage import discard_raw
from her2sr_proc.errors import DataError, StateError
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.export import export_tiff
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.raw_hold import RawHold


def keep(
    order: RunOrder,
    folder: RunFolder,
    tracker: Tracker,
    station: Station,
    hold: RawHold,
) -> list[str]:
    """Write the copies that were asked for, then discard what may go.

    Returns a sentence for every copy that could not be made. A copy comes first: it is
    made from frames that may go afterwards. Nothing goes that another call reads.
    """
    failed = _copies(folder, tracker) if order.protocol.raw.tiff_copy else []
    if not failed and order.protocol.keep_raw != "all":
        try:
            with hold.alone():
                _discard(order, folder, tracker, station)
        except StateError as exc:
            tracker.note("raw frames", what=f"all are kept: {exc}")
    return failed


def _discard(
    order: RunOrder, folder: RunFolder, tracker: Tracker, station: Station
) -> None:
    policy, stamp = order.protocol.keep_raw, station.clock.stamp
    for said in discard_raw(folder, policy, tracker.discarded, stamp):
        tracker.note("raw frames", what=said)


def _copies(folder: RunFolder, tracker: Tracker) -> list[str]:
    failed = []
    for unit in tracker.units:
        key = tracker.key_of(unit)
        path = folder.raw(key, "ome-tiff")
        if unit.state is UnitState.SKIPPED or not unit.written or path.exists():
            continue
        tracker.enter("writing TIFF", current=f"{key.field}/{key.channel}")
        try:
            export_tiff(folder, key, path)
        except (DataError, OSError) as exc:
            failed.append(f"no TIFF of {key.field}/{key.channel}: {exc}")
    return failed
