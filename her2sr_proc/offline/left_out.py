"""What of a run may not be copied to a share: it would replace what is good there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from her2sr_proc.errors import IntegrityError
from her2sr_proc.offline.copying import Source, size_of
from her2sr_proc.offline.recorded import Part, look, why_unreadable
from her2sr_proc.store.layout import RunFolder

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the files here found, before any is copied."""

    digests: dict[str, str]
    """SHA-256 of the files that hold what the ledger says, by path in the run."""
    left_out: dict[str, str]
    """What is wrong with the others: they take the place of no file on the share."""


def look_at(
    run: RunFolder,
    folder: Path,
    known: Mapping[str, Sequence[Part]],
    sources: Mapping[str, Source],
    progress: Progress,
) -> Looked:
    """Compare what the ledger knows with the files here, each read once.

    ``sources`` are all files, by path in the run; ``folder`` is its copy.
    """
    looked = Looked({}, {})
    for done, (name, parts) in enumerate(known.items()):
        progress(f"checking {name}", done, len(known))
        path = run.root / name
        if not path.is_file():
            looked.left_out[name] = f"{parts[0].name} is missing"
            continue
        looked.digests[name], faulty = look(path, parts)
        if faulty:
            looked.left_out[name] = f"{faulty[0].name} does not match its checksum"
    for name, source in sources.items():
        why = why_unreadable(run.root / name)
        target = folder / name
        if not why and size_of(source) == 0 and target.exists():
            why = "is empty" if target.stat().st_size > 0 else ""
        if why:
            looked.left_out.setdefault(name, f"{name} {why}")
    return looked


def refusal(
    run: RunFolder,
    folder: Path,
    left_out: Mapping[str, str],
    known: Mapping[str, Sequence[Part]],
) -> IntegrityError:
    """Return what is said of files that were not copied, and how to mend the first."""
    name, fault = next(iter(left_out.items()))
    others = f" (and {len(left_out) - 1} more like it)" if len(left_out) > 1 else ""
    target = folder / name
    parts = known.get(name, ())
    is_good = target.is_file() and target.stat().st_size > 0
    if is_good and parts:
        is_good = not look(target, parts)[1]
    elif is_good:
        is_good = not why_unreadable(target)
    cure = (
        f"the copy {target} is sound: bring it back to {run.root / name}"
        if is_good
        else f"{folder} holds no sound copy of it: bring it back from another, or make "
        f"it anew where it is a result"
    )
    return IntegrityError(
        f"{fault} in {run.root}{others} and was not copied, all else was, and no raw "
        f"frame is removed; {cure}, then offload again",
        path=str(run.root / name),
    )
