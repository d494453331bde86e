"""What the ledger says that files of a run hold, and which files do not hold it.

Frames first: a block that rotted is as long as it was and is copied without a word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from her2sr_proc.errors import DataError
from her2sr_proc.offline.copying import PIECE, sha256
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.lines import numbered_lines
from her2sr_proc.store.rawform import block_name


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file whose SHA-256 the ledger has."""

    name: str
    """How a sentence names it."""
    digests: tuple[str, ...]
    """What its SHA-256 may be."""
    offset: int = 0
    length: int | None = None
    """In bytes; None: the whole file."""


def recorded(run: RunFolder) -> dict[str, list[Part]]:
    """Return the parts that the ledger knows, by the path of their file in the run.

    Frames that the ledger calls discarded have none, unless they are still there.
    """
    known: dict[str, list[Part]] = {}
    for history in read_ledger(run.ledger, times=False).values():
        for path, part in _parts(run, history):
            known.setdefault(path.relative_to(run.root).as_posix(), []).append(part)
    return known


def look(path: Path, parts: Sequence[Part]) -> tuple[str, list[Part]]:
    """Return the SHA-256 of a file, and those parts that are not as the ledger says.

    Every byte is read once.
    """
    within = sorted((p for p in parts if p.length is not None), key=lambda p: p.offset)
    if not within:
        digest = sha256(path)
        return digest, [part for part in parts if digest not in part.digests]
    whole, faulty = hashlib.sha256(), []
    with path.open("rb") as file:
        for part in within:
            for data in _stretch(file, part.offset - file.tell()):
                whole.update(data)
            own = hashlib.sha256()
            for data in _stretch(file, part.length):
                whole.update(data)
                own.update(data)
            if own.hexdigest() not in part.digests:
                faulty.append(part)
        for data in _stretch(file, None):
            whole.update(data)
    return whole.hexdigest(), faulty


def why_unreadable(path: Path) -> str:
    """Return what is wrong with a file of JSON or JSON lines; empty: nothing.

    Files of another kind are not looked into.
    """
    try:
        if path.suffix in (".json", ".geojson"):
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            for _, text in numbered_lines(path):
                json.loads(text)
    except (ValueError, DataError):
        return "is empty" if path.stat().st_size == 0 else "is no JSON any more"
    return ""


def _stretch(file: BinaryIO, length: int | None) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        data = file.read(PIECE if left is None else min(PIECE, left))
        if not data:
            return
        left = None if left is None else left - len(data)
        yield data


def _parts(run: RunFolder, history: UnitHistory) -> Iterator[tuple[Path, Part]]:
    path, said = run.raw(history.key), history.discarded
    for record in history.records():
        file, part = _block(path, record)
        if said is None or file.exists():
            yield file, part
    where = f"{history.key.field}/{history.key.channel}"
    if said is not None:
        crop = said.crop
        kept = run.raw_kept(said.key, said.every_nth)
        if crop is not None:
            kept, fill = run.raw_nuclei(said.key), run.raw_nuclei_fill(said.key)
            yield fill, Part(f"the ground of {where}", (crop.fill_sha256,))
        for block in said.kept:
            name = f"kept block {block.block} of {where}"
            yield raw.chunk_path(kept, block.block), Part(name, (block.sha256,))
    stack = history.verdict.stack if history.verdict else None
    if stack is not None:
        name = f"the stack through the focus of {where}"
        yield run.focus_stack(history.key), Part(name, (stack.sha256,))


def _block(path: Path, record: BlockRecord) -> tuple[Path, Part]:
    name = block_name(record)
    try:
        place = raw.place(path, record)
    except (DataError, OSError):  # nothing of such a file can be told to be right
        return path, Part(name, ())
    return place.file, Part(name, record.digests, place.offset, place.length)
