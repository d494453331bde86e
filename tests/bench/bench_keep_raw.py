"""Bytes a night of raw frames, by policy and by lossless codec.

Run it: ``python tests/bench/bench_keep_raw.py``. Simulated blocks as of bench_write,
and of the simulated slide at the begin of a burst and after 36 s of light, coded as the
store does it (blosc-lz4, bytes shuffled) and by denser lossless codecs; every coding is
decoded and compared. A night is 12 h at 33 frames/s, 2048 x 2048. Then what each policy
of `keep_raw` leaves of the first block: the nuclei are 40 discs of 8 um on 133 um (65
nm a pixel). Tables are the localizer's own.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_kernels import slide_movie, slide_settings
from bench_write import camera_block
from numcodecs.blosc import BITSHUFFLE, SHUFFLE, Blosc

from her2sr_proc.benchmark import machine_name
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


def flat_settings():
    """Return the camera of `camera_block`, and the settings for its spots."""
    camera = CameraModel(
        pixel_nm=65.0, offset_adu=100, e_per_adu=0.46, read_noise_e=1.6
    )
    return camera, LocalizeParams(sigma_px=1.3)


def table_of(pixels, settings):
    """Return the bytes and the rows of the localization table of a block."""
    camera, params = settings
    maps = CameraMaps.uniform(camera, pixels.shape[1:])
    localizer = Localizer(maps, pixel_nm=camera.pixel_nm, params=params)
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
    table, _ = table_of(pixels, flat_settings())
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
    print("\nkeep_raw | share of pixels' bytes | TB a night with tables | again")
    for name, size, again in kinds:
        night = NIGHT_GB * (size + table) / pixels.nbytes / 1000
        print(f"{name} | {100 * size / pixels.nbytes:.1f} % | {night:.2f} | {again}")


def codings(name, pixels, settings):
    """Print a row for every codec, and one for the table."""
    print(f"\n{name}")
    print("codec | ratio | CPU-s/GB in | CPU-s/GB out | TB a night, all")
    for way, codec in CODECS.items():
        start = time.process_time()
        coded = codec.encode(pixels)
        middle = time.process_time()
        decoded = np.frombuffer(codec.decode(coded), pixels.dtype)
        end = time.process_time()
        if not np.array_equal(decoded, pixels.ravel()):
            raise SystemExit(f"{way} is not lossless")
        ratio, gb = pixels.nbytes / len(coded), pixels.nbytes / 1e9
        cost, back = (middle - start) / gb, (end - middle) / gb
        night = NIGHT_GB / ratio / 1000
        print(f"{way} | {ratio:.2f} | {cost:.2f} | {back:.2f} | {night:.2f}")
    size, rows = table_of(pixels, settings)
    print(f"table: {rows} rows in {size} bytes, {size / rows:.1f} bytes a row")


def main():
    """Print the codecs block by block, then one row a policy."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(machine_name())
    pixels = camera_block(1)
    codings("flat ground with 2000 spots a frame", pixels, flat_settings())
    for lit_before_s in (0.0, 36.0):
        block = slide_movie(pixels.shape[1], lit_before_s, len(pixels))
        name = f"the simulated slide after {lit_before_s:g} s of light"
        codings(name, block, slide_settings())
    policies(pixels)


if __name__ == "__main__":
    main()
