"""Bytes a night of raw frames, by policy and by lossless codec.

Run it: ``python tests/bench/bench_keep_raw.py``. Simulated blocks as of bench_write,
coded as the store does it (blosc-lz4, bytes shuffled) and by denser lossless codecs;
every coding is decoded and compared. A night is 12 h at 33 frames/s, 2048 x 2048. Then
what each policy of `keep_raw` leaves of such a block: the nuclei are 40 discs of 8 um
on 133 um (65 nm a pixel), the table is the localizer's own, of 2000 spots a frame.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_write import camera_block
from numcodecs.blosc import BITSHUFFLE, SHUFFLE, Blosc

from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.store import raw_zarr
from her2sr_proc.store.cropping import boxes_of, kept_pixels
from her2sr_proc.store.tables import write_parquet

NIGHT_GB = 12 * 3600 * 33 * 2048 * 2048 * 2 / 1e9
WAYS = {
    "lz4 1, bytes (the store)": ("lz4", 1, SHUFFLE),
    "lz4 5, bits": ("lz4", 5, BITSHUFFLE),
    "zstd 1, bits": ("zstd", 1, BITSHUFFLE),
    "zstd 3, bytes (dense)": ("zstd", 3, SHUFFLE),
    "zstd 5, bits": ("zstd", 5, BITSHUFFLE),
}
CODECS = {
    name: Blosc(*way, blocksize=raw_zarr.PART_BYTES) for name, way in WAYS.items()
}


NUCLEI, NUCLEUS_UM, PIXEL_UM = 40, 8.0, 0.065


def nuclei(side):
    """Return the labels of discs in rows, as a dense field has them."""
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:side, :side]
    across = 7
    pitch, radius = side / across, 0.5 * NUCLEUS_UM / PIXEL_UM
    for n in range(NUCLEI):
        row, column = ((np.array(divmod(n, across)) + 0.5) * pitch).astype(int)
        labels[np.hypot(y - row, x - column) < radius] = n + 1
    return labels


def table_bytes(pixels):
    """Return the bytes of the localization table of a block."""
    camera = CameraModel(
        pixel_nm=65.0, offset_adu=100, e_per_adu=0.46, read_noise_e=1.6
    )
    maps = CameraMaps.uniform(camera, pixels.shape[1:])
    localizer = Localizer(maps, pixel_nm=65.0, params=LocalizeParams(sigma_px=1.3))
    table = localizer.block(pixels, first_frame=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.parquet"
        write_parquet(path, table, {})
        return path.stat().st_size, len(table)


def policies(pixels):
    """Print what each policy leaves."""
    fast = len(raw_zarr.prepare(pixels).data)
    dense = len(raw_zarr.prepare(pixels, "dense").data)
    labels = nuclei(pixels.shape[1])
    table, rows = table_bytes(pixels)
    kinds = [
        ("all", fast, "everything, with any profile"),
        ("all, dense or recompressed", dense, "everything, with any profile"),
        ("every_nth: 10", fast / 10, "nothing; every tenth frame can be looked at"),
        ("localizations", 0, "nothing"),
    ]
    for margin_um in (3.0, 5.0):
        boxes = boxes_of(labels, round(margin_um / PIXEL_UM))
        mask = kept_pixels(boxes, labels.shape)
        cut = len(raw_zarr.prepare(pixels * mask, "dense").data)
        name = f"nuclei_only: {margin_um:g} ({100 * mask.mean():.0f} % of the pixels)"
        kinds.insert(2, (name, cut, "inside the boxes, with `recommended`"))
    print(f"\ntable: {table / rows:.1f} bytes a localization, {rows / 8:.0f} a frame")
    print("keep_raw | share of pixels' bytes | TB a night with tables | again")
    for name, size, again in kinds:
        night = NIGHT_GB * (size + table) / pixels.nbytes / 1000
        print(f"{name} | {100 * size / pixels.nbytes:.1f} % | {night:.2f} | {again}")


def main():
    """Print one row a codec, then one a policy."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    pixels = camera_block(1)
    print("codec | ratio | CPU-s/GB in | CPU-s/GB out | TB a night, all")
    for name, codec in CODECS.items():
        start = time.process_time()
        coded = codec.encode(pixels)
        middle = time.process_time()
        decoded = np.frombuffer(codec.decode(coded), pixels.dtype)
        end = time.process_time()
        if not np.array_equal(decoded, pixels.ravel()):
            raise SystemExit(f"{name} is not lossless")
        ratio, gb = pixels.nbytes / len(coded), pixels.nbytes / 1e9
        cost, back = (middle - start) / gb, (end - middle) / gb
        night = NIGHT_GB / ratio / 1000
        print(f"{name} | {ratio:.2f} | {cost:.2f} | {back:.2f} | {night:.2f}")
    policies(pixels)


if __name__ == "__main__":
    main()
