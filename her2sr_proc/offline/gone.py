"""Frames that are asked for after they were discarded: what is said of them."""

from __future__ import annotations

from her2sr_proc.errors import IntegrityError, StateError
from her2sr_proc.schema.ledger import DiscardRecord
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger


def require_frames(run: RunFolder, manifest: Manifest) -> None:
    """Raise `StateError` where a profile apart finds neither frames nor tables.

    Parameters
    ----------
    run : RunFolder
        As the profile sees it. By the run's own profile tables were made before frames
        went; apart, they would have to be made now.
    manifest : Manifest
        As the profile sees it too.
    """
    if run.profile is None:
        return
    signal = {channel.name for channel in manifest.with_role("signal")}
    units = [
        unit
        for key, unit in read_ledger(run.ledger).items()
        if unit.blocks and key.channel in signal
    ]
    takes_crops = manifest.profile.cleaning is None
    lost = [
        said
        for said in (unit.discarded for unit in units)
        if said is not None
        and not (said.crop is not None and takes_crops)
        and not run.table(said.key).exists()
    ]
    if lost and len(lost) == len(units):
        raise StateError(
            f"the profile {manifest.profile.name} needs whole raw frames, and those of "
            f"{run.name} {_became(lost[0])}; process a copy that holds them"
        )


def no_table(run: RunFolder, said: DiscardRecord) -> IntegrityError:
    """Return what is said where there is neither a table nor the frames for one."""
    return IntegrityError(
        f"{said.key.field}/{said.key.channel} has no table of this profile, and its "
        f"raw frames {_became(said)}; process a copy that holds them",
        path=str(run.table(said.key)),
    )


def _became(said: DiscardRecord) -> str:
    what = "were cut to nuclei" if said.crop is not None else "were discarded"
    return f"{what} at {said.utc} by {said.by} ({said.reason})"
