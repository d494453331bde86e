"""What people changed of machine counts, and rows of counts with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.schema.reading import CountEdited, InclusionEdited
from her2sr_proc.store.counts_table import CountRow


@dataclass(frozen=True, slots=True)
class Edits:
    """The changes of one nucleus that hold now."""

    revision: int = 0
    """How many there were."""
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Arm -> HER2, CEP17 as a person counted."""
    is_excluded: bool | None = None
    """None: as the machine says."""
    reason: str = ""
    """Of the last change."""
    by: str = ""


def edited(
    before: Mapping[str, Edits],
    act: CountEdited | InclusionEdited,
    *,
    by: str,
    reason: str,
) -> dict[str, Edits]:
    """Return the edits with one more.

    Raises `RequestError` without a reason, `StateError` where somebody else changed
    the nucleus after this person looked.
    """
    what = "a changed count" if isinstance(act, CountEdited) else "a change"
    if not reason.strip():
        raise RequestError(f"{what} needs its reason; give one")
    now = before.get(act.nucleus, Edits())
    if act.revision != now.revision:
        raise StateError(
            f"nucleus {act.nucleus} was changed by {now.by or 'nobody'} meanwhile; "
            f"look at it again",
            revision=now.revision,
        )
    after = replace(now, revision=now.revision + 1, reason=reason, by=by)
    if isinstance(act, CountEdited):
        after = replace(after, counts={**now.counts, act.arm: (act.her2, act.cep17)})
    else:
        after = replace(after, is_excluded=act.is_excluded)
    return {**before, act.nucleus: after}


def with_edits(
    rows: Iterable[CountRow], arm: str, edits: Mapping[str, Edits]
) -> tuple[CountRow, ...]:
    """Return rows of an arm as people left them.

    A count of a person is neither ambiguous nor uncertain in the counter's sense: its
    limits are the count itself.
    """
    return tuple(_row(row, arm, edits.get(row.key)) for row in rows)


def _row(row: CountRow, arm: str, said: Edits | None) -> CountRow:
    if said is None:
        return row
    if said.is_excluded is not None:
        row = replace(row, is_excluded=said.is_excluded)
    if arm in said.counts:
        her2, cep17 = said.counts[arm]
        row = replace(
            row,
            her2=her2,
            cep17=cep17,
            limits=None if row.limits is None else (her2, her2, cep17, cep17),
            ambiguous=None if row.ambiguous is None else False,
        )
    return row
