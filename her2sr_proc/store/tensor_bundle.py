"""TensorFlow's variables on disk, read without TensorFlow.

A bundle is an index, which is a table of LevelDB with a protocol buffer for every
tensor, and a data file in which they lie. Only what the index needs is understood:
one data file, little-endian, float32, no compression. Sources: the formats of
LevelDB's table (leveldb/doc/table_format.md) and of TensorFlow's tensor_bundle.proto.
The checksums inside are not compared: the zip around has its own.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.errors import ModelError

F32 = npt.NDArray[np.float32]

FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
FLOAT32 = 1
"""DT_FLOAT."""
LARGEST = 2**26
"""Numbers of a tensor: two hundred times all of such a network."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor lies in the data file."""

    dtype: int
    shape: tuple[int, ...]
    offset: int
    size: int


def read_index(index: bytes) -> dict[str, Entry]:
    """Return the tensors of an index by their names. Raises `ModelError`."""
    try:
        found = dict(_entries(index))
        header = _fields(found.pop(b""))
        entries = {name.decode(): _entry(value) for name, value in found.items()}
    except (IndexError, KeyError, ValueError, struct.error) as exc:
        raise ModelError(
            "the index of the model's variables is damaged; export the model again"
        ) from exc
    if header.get(1, [1]) != [1] or header.get(2, [0]) != [0]:
        raise ModelError(
            "the model's variables lie in several files or are big-endian, which is "
            "not read here; export the model again from Fiji"
        )
    return entries


def tensor(name: str, entries: dict[str, Entry], data: bytes) -> F32:
    """Return one tensor. Raises `ModelError` when it is missing or of another kind."""
    entry = entries.get(name)
    if entry is None:
        raise ModelError(
            f"the model has no tensor '{name}': it is not a Noise2Void U-Net with 2 "
            f"halvings, or was exported half; export it again from Fiji"
        )
    count = math.prod(entry.shape)
    is_whole = entry.offset + entry.size <= len(data) and entry.size == 4 * count
    if entry.dtype != FLOAT32 or count > LARGEST or not is_whole:
        raise ModelError(
            f"the tensor '{name}' is cut off or not float32; export the model again"
        )
    flat = np.frombuffer(data, "<f4", count, entry.offset)
    return flat.reshape(entry.shape).astype(np.float32)


def _entries(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of all data blocks of the table."""
    footer = index[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ValueError("no table")
    at = 0
    for _ in range(2):  # the metaindex, which nothing here needs
        _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    for _, handle in _block(index, offset, size):
        start, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        yield from _block(index, start, length)


def _block(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of one block, whose keys share their beginnings."""
    if offset + size >= len(index) or size < 4:
        raise ValueError("a block lies outside")
    if index[offset + size] != 0:
        raise ModelError(
            "the index of the model's variables is compressed, which is not read "
            "here; export the model again from Fiji, which does not compress"
        )
    block = index[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 * (restarts + 1)
    if end < 0:
        raise ValueError("more restarts than bytes")
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        if shared > len(key) or at + unshared + length > end:
            raise ValueError("an entry ends behind its block")
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def _entry(value: bytes) -> Entry:
    fields = _fields(value)
    shape = []
    for part in fields.get(2, []):
        for axis in _fields(_as_bytes(part)).get(2, []):
            (length,) = _fields(_as_bytes(axis)).get(1, [0])
            shape.append(_as_number(length))
    if _as_number(fields.get(3, [0])[0]) != 0:
        raise ValueError("another data file")
    return Entry(
        dtype=_as_number(fields.get(1, [0])[0]),
        shape=tuple(shape),
        offset=_as_number(fields.get(4, [0])[0]),
        size=_as_number(fields.get(5, [0])[0]),
    )


def _fields(message: bytes) -> dict[int, list[int | bytes]]:
    """Return the fields of a protocol buffer: numbers, and bytes of what is nested."""
    found: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value: int | bytes
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 2, 5):
            length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = message[at : at + length], at + length
        else:
            raise ValueError("an unknown kind of field")
        if at > len(message):
            raise ValueError("a field ends behind its message")
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise ValueError("a number without end")


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message is due")  # noqa: TRY004 - damage
    return value


def _as_number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number is due")  # noqa: TRY004 - damage
    return value
