"""Noise2Void zips as Fiji writes them, made from given weights; and hostile ones.

Writes TensorFlow's bundle after its format's description; shares nothing with the
reader but that.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import yaml

MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(array: np.ndarray, offset: int) -> bytes:
    shape = b"".join(field(2, field(1, n)) for n in array.shape)
    size = array.size * 4
    return field(1, 1) + field(2, shape) + field(4, offset) + field(5, size)


def block(rows: list[tuple[bytes, bytes]], kind: int) -> bytes:
    """Return a block whose keys share their beginnings, its kind and its checksum."""
    out, former = b"", b""
    for key, value in rows:
        shared = 0
        while shared < min(len(key), len(former)) and key[shared] == former[shared]:
            shared += 1
        lengths = (shared, len(key) - shared, len(value))
        out += b"".join(map(varint, lengths)) + key[shared:] + value
        former = key
    return out + struct.pack("<II", 0, 1) + bytes([kind]) + bytes(4)


def bundle(tensors: dict[str, np.ndarray], *, kind: int = 0) -> tuple[bytes, bytes]:
    """Return index and data; ``kind`` 1 claims to be compressed."""
    data, rows = b"", [(b"", field(1, 1))]
    for name in sorted(tensors):
        array = tensors[name].astype("<f4")
        rows.append((name.encode(), entry(array, len(data))))
        data += array.tobytes()
    half = len(rows) // 2
    index, handles = b"", []
    for part in (rows[:half], rows[half:]):
        body = block(part, kind)
        handles.append((part[-1][0], varint(len(index)) + varint(len(body) - 5)))
        index += body
    meta, top = block([], 0), block(handles, 0)
    places = [len(index), len(meta) - 5, len(index) + len(meta), len(top) - 5]
    footer = b"".join(map(varint, places)).ljust(40, b"\0") + struct.pack("<Q", MAGIC)
    return index + meta + top + footer, data


def tensors_of(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return our weights under Fiji's names, x and y swapped, among others to skip."""
    theirs = {"mean": "moving_mean", "variance": "moving_variance"}
    found = {"Adam/iter": np.zeros(()), "training/Adam/x": np.ones(3)}
    numbers = {
        name: n for n, name in enumerate(dict.fromkeys(_layer(k) for k in weights))
    }
    for name, array in weights.items():
        part = name.rsplit("/", 1)[1]
        if part == "kernel":
            found[name] = array.transpose(3, 2, 1, 0)
        elif part == "bias":
            found[name] = array
        else:
            number = numbers[_layer(name)] + 1
            found[f"batch_normalization_{number}/{theirs.get(part, part)}"] = array
    return found


def _layer(name: str) -> str:
    return name.rsplit("/", 1)[0]


def described() -> dict:
    step = {
        "name": "zero_mean_unit_variance",
        "kwargs": {"mode": "fixed", "mean": [500.0], "std": [100.0]},
    }
    return {
        "format_version": "0.3.0",
        "license": None,
        "inputs": [{"name": "input", "axes": "byxc", "preprocessing": [step]}],
        "outputs": [{"name": "out", "axes": "byxc"}],
        "config": {"fiji": {"training": {"kwargs": {"batchSize": 64}}}},
    }


def write_fiji(
    path: Path,
    weights: dict[str, np.ndarray],
    *,
    description: dict | None = None,
    kind: int = 0,
    extra: dict[str, bytes] | None = None,
) -> Path:
    """Write a model as Fiji would."""
    index, data = bundle(tensors_of(weights), kind=kind)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("variables/variables.index", index)
        archive.writestr("variables/variables.data-00000-of-00001", data)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.yaml", yaml.safe_dump(description or described()))
        archive.writestr("tf_saved_model_bundle.zip", inner.getvalue())
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return path
