"""How fast this machine localizes: a movie of known spots, and every step's share.

The movie is made here, from noise and Gaussians, and says nothing of accuracy; that is
measured elsewhere, on movies whose truth shares no code with the localizer.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.store.frames import open_movie

U16 = npt.NDArray[np.uint16]

DISTINCT = 8
"""Frames that differ; a longer movie shows them again, which no step remembers."""
PHOTONS, BACKGROUND = 1500.0, 20.0
CAMERA = CameraModel(pixel_nm=100.0, offset_adu=100.0, e_per_adu=0.46, read_noise_e=1.6)
STREAM_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured; seconds are of one thread a frame, rates of all threads."""

    machine: str
    threads: int
    side_px: int
    emitters: int
    frames: int
    sigma_px: float
    multi: bool
    input_s: float
    detection_s: float
    fit_s: float
    crowd_s: float
    frames_per_s: float
    localizations_per_s: float
    bound_frames_per_s: float
    """What reading each frame once from memory would allow all threads."""
    peak_memory_mb: float

    @property
    def share_of_bound(self) -> float:
        """How much of that bound is reached."""
        return self.frames_per_s / self.bound_frames_per_s


def make_movie(side_px: int, emitters: int, sigma_px: float, seed: int) -> U16:
    """Return `DISTINCT` frames of spots at random places, one after the other."""
    rng = np.random.default_rng(seed)
    reach = int(np.ceil(4.0 * sigma_px))
    around = np.arange(-reach, reach + 1)
    out = np.empty((DISTINCT, side_px, side_px), np.uint16)
    for frame in out:
        mean = np.full((side_px + 2 * reach, side_px + 2 * reach), BACKGROUND)
        light = PHOTONS * rng.lognormal(-0.08, 0.4, emitters)
        for (x, y), photons in zip(
            rng.uniform(0, side_px - 1, (emitters, 2)), light, strict=True
        ):
            j, i = round(x), round(y)
            bells = [
                np.exp(-((around - part) ** 2) / (2.0 * sigma_px**2))
                for part in (y - i, x - j)
            ]
            spot = np.outer(*bells)
            box = (slice(i, i + spot.shape[0]), slice(j, j + spot.shape[1]))
            mean[box] += photons * spot / spot.sum()
        electrons = rng.poisson(mean[reach:-reach, reach:-reach])
        read = rng.normal(0.0, CAMERA.read_noise_e, electrons.shape)
        adu = (electrons + read) / CAMERA.e_per_adu + CAMERA.offset_adu
        frame[:] = np.clip(np.rint(adu), 0, 65535)
    return out


def measure(
    movie: U16, *, emitters: int, frames: int, threads: int, params: LocalizeParams
) -> Speed:
    """Return the speed of every step and of the whole; compiled before it counts."""
    camera = CameraMaps.uniform(CAMERA, movie.shape[1:])
    localizer = Localizer(camera, pixel_nm=CAMERA.pixel_nm, params=params)
    steps = np.array([localizer.time_frame(frame) for frame in (*movie, *movie)])
    with ThreadPoolExecutor(threads) as crew:
        localizer.block(movie[:threads], first_frame=0, each=crew.map)
        found, done = 0, 0
        begun = time.perf_counter()
        while done < frames:
            block = movie[: min(len(movie), frames - done)]
            found += len(localizer.block(block, first_frame=done, each=crew.map))
            done += len(block)
        seconds = time.perf_counter() - begun
    peak_memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    detection_s, fit_s, crowd_s = np.median(steps, axis=0)
    return Speed(
        machine=machine_name(),
        threads=threads,
        side_px=movie.shape[1],
        emitters=emitters,
        frames=frames,
        sigma_px=params.sigma_px,
        multi=params.emitters == "multi",
        input_s=input_seconds(movie),
        detection_s=float(detection_s),
        fit_s=float(fit_s),
        crowd_s=float(crowd_s),
        frames_per_s=frames / seconds,
        localizations_per_s=found / seconds,
        bound_frames_per_s=memory_bytes_per_s(threads) / movie[0].nbytes,
        peak_memory_mb=peak_memory_mb,
    )


def input_seconds(movie: U16) -> float:
    """Return the seconds a frame of reading the movie from an uncompressed TIFF."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.tif"
        tifffile.imwrite(path, movie, photometric="minisblack")
        with closing(open_movie(path)) as source:
            source.read(0, 1)
            begun = time.perf_counter()
            source.read(0, len(movie))
            return (time.perf_counter() - begun) / len(movie)


def memory_bytes_per_s(threads: int) -> float:
    """Return how fast all threads together read memory, best of three."""
    parts = [np.ones(STREAM_BYTES // 8) for _ in range(threads)]
    seconds = []
    with ThreadPoolExecutor(threads) as crew:
        for _ in range(3):
            begun = time.perf_counter()
            list(crew.map(np.sum, parts))
            seconds.append(time.perf_counter() - begun)
    return threads * STREAM_BYTES / min(seconds)


def machine_name() -> str:
    """Return the processor and how many of it there are."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return f"{name}, {os.cpu_count()} cores"


@dataclass(frozen=True, slots=True)
class PeerSpeed:
    """Another program on the same movie."""

    name: str
    settings: str
    frames_per_s: float
    localizations_per_s: float
    identify_s: float
    """A frame, all threads."""
    fit_s: float


def measure_picasso(
    movie: U16, *, frames: int, say: Callable[[str], None]
) -> PeerSpeed:
    """Return the speed of Picasso, as its own functions localize a movie of a file.

    Raises `ImportError` where it is not installed.
    """
    from picasso import __version__, io, localize  # the optional extra `bench`

    info = {"Baseline": 100, "Sensitivity": 0.46, "Gain": 1, "Pixelsize": 100}
    box, gradient = 7, 1500
    repeats = -(-frames // len(movie))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.raw"
        np.tile(movie, (repeats, 1, 1))[:frames].astype("<u2").tofile(path)
        height, width = movie.shape[1:]
        path.with_suffix(".yaml").write_text(
            f"Byte Order: '<'\nData Type: uint16\nFrames: {frames}\n"
            f"Height: {height}\nWidth: {width}\n"
        )
        loaded, _ = io.load_movie(str(path))

        def run(count: int) -> tuple[float, float, int]:
            begun = time.perf_counter()
            spots = localize.identify(
                loaded, gradient, box, frame_bounds=(0, count), return_info=False
            )
            middle = time.perf_counter()
            locs, _ = localize.fit(
                loaded,
                camera_info=info,
                identifications=spots,
                box=box,
                fitting_method="gaussmle-spherical",
            )
            return middle - begun, time.perf_counter() - middle, len(locs)

        say("picasso compiles")
        run(2)
        say("picasso localizes")
        identify_s, fit_s, found = run(frames)
    return PeerSpeed(
        name=f"picasso {__version__}",
        settings=f"box {box}, min. net gradient {gradient}, gaussmle-spherical, "
        "threads and processes as it chooses",
        frames_per_s=frames / (identify_s + fit_s),
        localizations_per_s=found / (identify_s + fit_s),
        identify_s=identify_s / frames,
        fit_s=fit_s / frames,
    )
