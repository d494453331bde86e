"""Milliseconds a frame of the localizer, by stage, and fits a second.

Run it: ``python tests/bench/bench_localizer.py [--frames 60] [--size 512 ...]
[--spots 50]``. Processor time of one thread; spots are in focus, so many in 256 x 256
pixels and as dense elsewhere. Input is a compressed TIFF read page by page.
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile

from her2sr_proc.kernels import gauss
from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.store.frames import open_movie

PARAMS = LocalizeParams()


def movie(size: int, frames: int, spots: float = 50.0) -> np.ndarray:
    """Return counts of spots of 1500 photons on a background of 150."""
    rng = np.random.default_rng(1)
    out = np.empty((frames, size, size), np.uint16)
    rows, columns = np.mgrid[-4:5, -4:5]
    for frame in out:
        mean = np.full((size, size), 150.0)
        count = round(spots * (size / 256) ** 2)
        for y, x in rng.uniform(5, size - 6, (count, 2)):
            i, j = round(y), round(x)
            bell = np.exp(-((rows + i - y) ** 2 + (columns + j - x) ** 2) / 1.1)
            mean[i - 4 : i + 5, j - 4 : j + 5] += 1500 * bell / bell.sum()
        light = rng.poisson(mean) + rng.normal(0, 1.6, mean.shape)
        frame[:] = np.clip(light / 0.46 + 100, 0, 65535)
    return out


def read_all(adu: np.ndarray) -> float:
    """Return the processor seconds of reading the movie from a compressed TIFF."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.tif"
        tifffile.imwrite(path, adu, compression="zlib", photometric="minisblack")
        source = open_movie(path)
        begun = time.process_time()
        source.read(0, len(adu))
        seconds = time.process_time() - begun
        source.close()
    return seconds


def detect_all(adu: np.ndarray, camera: CameraMaps) -> float:
    """Return the processor seconds of everything up to the maxima."""
    none = PARAMS.model_copy(update={"threshold_factor": 20.0, "noise_factor": 50.0})
    localizer = Localizer(camera, pixel_nm=130.0, params=none)
    localizer.block(adu[:1], first_frame=0)
    begun = time.process_time()
    localizer.block(adu, first_frame=0)
    return time.process_time() - begun


def fits_per_s(adu: np.ndarray, camera: CameraMaps, radius: int) -> float:
    """Return fits a second of the fit alone, in boxes of 2 radius + 1 pixels."""
    i, j = np.unravel_index(np.argsort(adu[0], axis=None)[-2000:], adu[0].shape)
    rows, columns = i.astype(np.int32), j.astype(np.int32)
    results = np.empty((rows.size, gauss.RESULTS))
    status = np.empty(rows.size, np.int16)
    begun = time.process_time()
    gauss.fit_spots(
        adu[0],
        camera.offset_adu,
        camera.e_per_adu,
        camera.variance_e2,
        rows,
        columns,
        radius,
        PARAMS.sigma_px,
        0.0,
        0.4,
        float(radius),
        1.0,
        65535.0,
        PARAMS.max_iterations,
        results,
        status,
    )
    return rows.size / (time.process_time() - begun)


def localize_all(
    adu: np.ndarray, camera: CameraMaps, threads: int
) -> tuple[float, float, int]:
    """Return processor and wall seconds of localizing, and how much was found."""
    localizer = Localizer(camera, pixel_nm=130.0, params=PARAMS)
    with ThreadPoolExecutor(threads) as crew:
        localizer.block(adu[:threads], first_frame=0, each=crew.map)
        begun, wall = time.process_time(), time.perf_counter()
        table = localizer.block(adu, first_frame=0, each=crew.map)
    return time.process_time() - begun, time.perf_counter() - wall, len(table)


def main() -> None:
    """Print one line a frame size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, nargs="*", default=[64, 256, 512, 1024])
    parser.add_argument("--spots", type=float, default=50.0)
    options = parser.parse_args()
    warm = movie(64, 2)
    small = CameraMaps.uniform(CameraModel(), (64, 64))
    localize_all(warm, small, 1)
    print(f"{'size':>6}{'input':>9}{'detect':>9}{'fit':>9}{'all':>9}  ms a frame")
    for size in options.size:
        adu = movie(size, options.frames, options.spots)
        camera = CameraMaps.uniform(CameraModel(), adu.shape[1:])
        read_s, detect_s = read_all(adu), detect_all(adu, camera)
        all_s, _, found = localize_all(adu, camera, 1)
        _, pair_s, _ = localize_all(adu, camera, 2)
        stages = (read_s, detect_s, all_s - detect_s, all_s)
        line = "".join(f"{1000 * s / len(adu):9.2f}" for s in stages)
        print(
            f"{size:6}{line}  {len(adu) / all_s:.0f} frames/s, "
            f"{len(adu) / pair_s:.0f} with two threads, "
            f"{found / all_s:.0f} localizations/s"
        )
    for radius in (2, 3, 4):
        rate = fits_per_s(
            movie(512, 1), CameraMaps.uniform(CameraModel(), (512,) * 2), radius
        )
        print(f"fit alone, box {2 * radius + 1}: {rate:.0f} fits/s")


if __name__ == "__main__":
    main()
