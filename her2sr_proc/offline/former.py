"""Fields whose tasks failed: an older result of them stands, and says so."""

from __future__ import annotations

from collections.abc import Iterable

from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import read_field, write_field

STANDS = "its former result stands, since what was to make it anew failed"


def tell_former(run: RunFolder, fields: Iterable[str]) -> list[str]:
    """Flag the results of fields that could not be made anew; return which have one.

    The flag stays in whatever answer is made of them, until the field is done again.
    """
    found = []
    for name in fields:
        former = read_field(run, name)
        if former is None:
            continue
        found.append(name)
        if STANDS not in former.flags:
            flags = (STANDS, *former.flags)
            write_field(run, former.model_copy(update={"flags": flags}))
    return found
