"""Bytes a night of raw frames, by policy and by lossless codec.

Run it: ``python tests/bench/bench_keep_raw.py``. Simulated blocks as of bench_write,
coded as the store does it (blosc-lz4, bytes shuffled) and by denser lossless codecs;
every coding is decoded and compared. A night is 12 h at 33 frames/s, 2048 x 2048.
"""

import time

import numpy as np
from bench_write import camera_block
from numcodecs.blosc import BITSHUFFLE, SHUFFLE, Blosc

NIGHT_GB = 12 * 3600 * 33 * 2048 * 2048 * 2 / 1e9
CODECS = {
    "lz4 1, bytes (the store)": Blosc(cname="lz4", clevel=1, shuffle=SHUFFLE),
    "lz4 5, bits": Blosc(cname="lz4", clevel=5, shuffle=BITSHUFFLE),
    "zstd 1, bits": Blosc(cname="zstd", clevel=1, shuffle=BITSHUFFLE),
    "zstd 3, bytes": Blosc(cname="zstd", clevel=3, shuffle=SHUFFLE),
    "zstd 5, bits": Blosc(cname="zstd", clevel=5, shuffle=BITSHUFFLE),
}


def main():
    """Print one row a codec."""
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


if __name__ == "__main__":
    main()
