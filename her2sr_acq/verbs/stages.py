"""What each stage of the way of a frame costs by itself, and what the machine allows.

Every stage is the function that the service calls, on frames that the camera gave; it
runs alone in this process, so that its share of a thread that does several is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from her2sr_proc import benchmark
from her2sr_proc.burst import localizer_for
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.calibrations import camera_of
from her2sr_proc.store.direct import write_new
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.rawform import digest

U16 = npt.NDArray[np.uint16]
REPEATS = 3

COPIES: tuple[tuple[str, float], ...] = (
    ("camera's memory to MMCore's ring", 1.0),
    ("MMCore's ring to an array (popNextImageAndMD)", 1.0),
    ("array to the block's buffer", 1.0),
    ("buffer to the message of the bus", 1.0),
    ("bus: into the system", 1.0),
    ("bus: out of the system", 1.0),
)
"""Whole copies of the pixels of one frame, by where the code makes them; besides, the
compressed bytes are made, written and read back, which the ratio tells."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage by itself."""

    name: str
    cpu_s_per_gb: float


@dataclass(frozen=True, slots=True)
class Localizing:
    """CPU-s/GB of localizing by itself."""

    blocks: tuple[float, ...]
    """Of the burst's first block, the middle one and the last, by one thread."""
    together: float
    """Of the middle one, by a thread on every core at once: more than by one where
    cores share caches, memory or, as two threads of one core do, all they have."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What this machine allows."""

    cores: int
    memory_gb_per_s: float
    """Read by all cores together."""
    copy_gb_per_s: float
    """Copied by one core, pixels that no cache holds."""
    disk_gb_per_s: float
    """Written and forced to disk, by one thread, a block at a time."""


def measure_stages(run: RunFolder, cores: int) -> tuple[list[Stage], float, Localizing]:
    """Return the stages, the compression, and localizing.

    Blocks of the beginning, the middle and the end of the burst are taken: bright
    tissue costs more before it has bleached.
    """
    (history,) = read_ledger(run.ledger).values()
    records = history.records()
    path = run.raw(history.key)
    adu = np.array(raw.read_block(path, records[len(records) // 2]))
    prepared = raw.prepare(path, adu)
    coded = bytes(prepared.data)
    scratch = run.root / "stage.tmp"
    target = np.empty_like(adu)

    def write() -> None:
        write_new(scratch, memoryview(coded))

    def per_gb(work: Callable[[], object]) -> float:
        return _cpu_s(work) / (adu.nbytes / 1e9)

    prepare = per_gb(lambda: raw.prepare(path, adu))
    hashing = per_gb(lambda: digest(coded))
    stages = [
        Stage("one copy", per_gb(lambda: np.copyto(target, adu))),
        Stage("compress", max(0.0, prepare - hashing)),
        Stage("SHA-256", hashing),
        Stage("write and force to disk", per_gb(write)),
        Stage(
            "read back and compare",
            per_gb(
                lambda: raw.check_block(
                    path, records[len(records) // 2].key.block, prepared
                )
            ),
        ),
    ]
    scratch.unlink()
    return stages, adu.nbytes / len(coded), _localizing(run, cores)


def _localizing(run: RunFolder, cores: int) -> Localizing:
    (history,) = read_ledger(run.ledger).values()
    records, path = history.records(), run.raw(history.key)
    manifest = read_manifest(run)
    localizer = localizer_for(manifest, history.key.channel, camera_of(run, manifest))

    def per_gb(record: BlockRecord, crew: ThreadPoolExecutor) -> float:
        frames = raw.read_block(path, record)
        # compiled, and the planes of every thread made
        localizer.block(frames[:cores], first_frame=0, each=crew.map)
        begun = time.process_time()
        localizer.block(frames, first_frame=record.first_frame, each=crew.map)
        return (time.process_time() - begun) / (frames.nbytes / 1e9)

    middle = records[len(records) // 2]
    with ThreadPoolExecutor(1) as alone, ThreadPoolExecutor(cores) as crew:
        blocks = [per_gb(record, alone) for record in (records[0], middle, records[-1])]
        return Localizing(tuple(blocks), per_gb(middle, crew))


def measure_bounds(folder: Path, cores: int) -> Bounds:
    """Return what memory and disk of this machine allow."""
    source = np.ones(2**27, np.uint16)
    target = np.empty_like(source)
    target.fill(0)
    copying = min(_wall_s(lambda: np.copyto(target, source)) for _ in range(REPEATS))
    piece = np.random.default_rng(1).bytes(2**25)
    scratch = folder / "bound.tmp"

    def write() -> None:
        write_new(scratch, memoryview(piece))

    writing = min(_wall_s(write) for _ in range(REPEATS))
    scratch.unlink()
    return Bounds(
        cores,
        benchmark.memory_bytes_per_s(cores) / 1e9,
        source.nbytes / copying / 1e9,
        len(piece) / writing / 1e9,
    )


def _cpu_s(work: Callable[[], object]) -> float:
    """Return the least processor seconds of a few calls, of all threads."""
    costs = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        costs.append(time.process_time() - begun)
    return min(costs)


def _wall_s(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
