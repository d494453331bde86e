"""Drift under every burst and pictures through the focus, from what a run tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from her2sr_proc.errors import ProcError
from her2sr_proc.report.motion import Motion, StackPicture, montage
from her2sr_proc.report.pictures import data_uri
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.counts import ChannelGeometry, FieldResult
from her2sr_proc.schema.ledger import UnitRecord
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.focus_stack import read_focus_stack
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger

SHOWN_STACKS = 3


def motions_of(
    run: RunFolder, manifest: Manifest, results: Sequence[FieldResult]
) -> tuple[Motion, ...]:
    """Return what is known of every signal burst that is on disk, in order.

    A second attempt answers for its unit. Older runs and imported movies tell less.
    """
    lie = {r.field: r.geometry.channels for r in results if r.geometry is not None}
    return tuple(
        _motion(unit, lie.get(unit.key.field, {}).get(unit.key.channel))
        for unit in _bursts(run, manifest)
    )


def stacks_of(run: RunFolder, manifest: Manifest) -> tuple[StackPicture, ...]:
    """Return pictures of the first stacks; a file that is torn or gone has none."""
    found: list[StackPicture] = []
    for unit in _bursts(run, manifest):
        if unit.stack is None:
            continue
        if len(found) == SHOWN_STACKS:
            break
        try:
            pictures, z_um = read_focus_stack(run.focus_stack(unit.key))
        except ProcError:  # `her2sr verify` says what is wrong with it
            continue
        middle_um = z_um[len(z_um) // 2]
        found.append(
            StackPicture(
                field=unit.key.field,
                channel=unit.key.channel,
                heights_um=tuple(z - middle_um for z in z_um),
                sharpest_um=unit.stack.best_um,
                uri=data_uri(montage(pictures, len(z_um))),
            )
        )
    return tuple(found)


def _bursts(run: RunFolder, manifest: Manifest) -> Iterator[UnitRecord]:
    signals = {channel.name for channel in manifest.with_role("signal")}
    try:
        histories = read_ledger(run.ledger)
    except ProcError:
        return
    last: dict[tuple[str, str], UnitRecord] = {}
    for key, history in histories.items():
        if history.verdict is not None and key.channel in signals:
            before = last.get(_place(key))
            if before is None or before.key.attempt < key.attempt:
                last[_place(key)] = history.verdict
    yield from sorted(last.values(), key=lambda unit: unit.started_utc)


def _place(key: UnitKey) -> tuple[str, str]:
    return key.field, key.channel


def _motion(unit: UnitRecord, lies: ChannelGeometry | None) -> Motion:
    focus, stack = unit.focus, unit.stack
    return Motion(
        field=unit.key.field,
        channel=unit.key.channel,
        across_nm=None if lies is None else lies.drift_nm,
        drive_um=None if focus is None else focus.z_end_um - focus.z_um,
        sharpest_um=None if stack is None else stack.best_um,
        why_unknown="" if stack is None else stack.why_unknown,
        along_um=None if lies is None else lies.drift_z_um,
    )
