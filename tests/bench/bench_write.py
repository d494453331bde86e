"""How fast frames reach the disk: the writer as the engine uses it, nothing beside it.

Run it: ``python tests/bench/bench_write.py [--out DIR] [--blocks 60] [--format zarr]``.
Blocks of 8 frames of 2048 x 2048 (67 MB), Poisson background and spots, each encoded,
hashed, written, forced to disk with its folders, read back, and noted in a ledger that
is forced to disk. Prints MB/s without a pace; then, at the pace of a camera (280 MB/s),
processor time a GB and the longest time from a full block to its ledger line.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from her2sr_acq.stream.blocks import Block, BlockPool
from her2sr_acq.stream.sink import Destination, Sink
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.lines import LineWriter

FRAMES, SIDE = 8, 2048
PACE_MB_S = 280.0
UNIT = UnitKey(run="bench", field="r00_c00", channel="561")


def camera_block(seed):
    """Return eight frames: 100 counts offset, shot and read noise, 2000 spots each."""
    rng = np.random.default_rng(seed)
    electrons = rng.poisson(40, (FRAMES, SIDE, SIDE)).astype(np.float32)
    y, x = np.mgrid[-4:5, -4:5]
    spot = 300 * np.exp(-(x**2 + y**2) / (2 * 1.3**2)) / (2 * np.pi * 1.3**2)
    for frame in electrons:
        for row, column in rng.integers(5, SIDE - 5, (2000, 2)):
            frame[row - 4 : row + 5, column - 4 : column + 5] += spot
    noise = rng.standard_normal(electrons.shape, dtype=np.float32) * 1.6
    return np.clip((electrons + noise) / 0.46 + 100, 0, 65535).astype(np.uint16)


def store(folder, pixels, blocks, pace_mb_s, suffix):
    """Write ``blocks`` blocks; return wall and processor seconds, latencies, bytes."""
    path = folder / f"561.ome.{suffix}"
    shape = raw.RawShape(blocks * FRAMES, SIDE, SIDE, FRAMES)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30, name="bench")
    pool = BlockPool(buffers=6, pixels=FRAMES * SIDE * SIDE)
    full_at, latencies, sizes = {}, [], []
    with LineWriter(folder / "ledger.jsonl") as ledger:

        def record(line):
            ledger.append(line.model_dump_json())
            latencies.append(time.perf_counter() - full_at[line.key.block])
            sizes.append(line.bytes)

        destination = Destination(UNIT, path, record, None)
        began, used = time.perf_counter(), time.process_time()
        with Sink(pool, write=raw.write_block) as sink:
            for number in range(blocks):
                if pace_mb_s:
                    due = began + (number + 1) * pixels[0].nbytes / 1e6 / pace_mb_s
                    time.sleep(max(0.0, due - time.perf_counter()))
                buffer = pool.take(timeout_s=30.0)
                # the copy of the frames belongs to the camera's side and counts too
                view = buffer.reshape(FRAMES, SIDE, SIDE)
                np.copyto(view, pixels[number % len(pixels)])
                times = [0.03 * frame for frame in range(FRAMES)]
                block = Block(number, number * FRAMES, view, buffer, times)
                full_at[number] = time.perf_counter()
                sink.put(destination, block)
            sink.drain(timeout_s=60.0)
        wall, processor = time.perf_counter() - began, time.process_time() - used
    return wall, processor, latencies, sum(sizes)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--out", type=Path, default=None, help="a folder on the disk")
    options.add_argument("--blocks", type=int, default=60)
    options.add_argument("--format", choices=["zarr", "tif"], default="zarr")
    chosen = options.parse_args()
    pixels = [camera_block(seed) for seed in range(3)]
    size = pixels[0].nbytes * chosen.blocks
    for pace in (0.0, PACE_MB_S):
        folder = Path(tempfile.mkdtemp(dir=chosen.out))
        try:
            wall, processor, latencies, stored = store(
                folder, pixels, chosen.blocks, pace, chosen.format
            )
        finally:
            shutil.rmtree(folder)
        print(
            f"{f'at {pace:.0f} MB/s' if pace else 'without a pace'}: "
            f"{size / wall / 1e6:.0f} MB/s, {processor / size * 1e9:.2f} CPU-s/GB "
            f"({processor / wall:.2f} of a core), block to ledger median "
            f"{np.median(latencies) * 1e3:.0f} ms, longest {max(latencies) * 1e3:.0f} "
            f"ms, {size / stored:.2f} times smaller on disk"
        )


if __name__ == "__main__":
    main()
