"""Where a frame's time goes: spots of every kind, and each step of a fit.

Run it: ``python tests/bench/bench_kernels.py [--side 2048] [--tissue]``. Prints, for
the movie of `her2sr bench` (2000 spots, sigma 1.3 px): how many spots go which way, the
thread's milliseconds of each way in a frame, and microseconds of every step of the fits
that are done sixteen side by side. ``--tissue`` adds frames of the simulated slide as
a burst goes on. Thread time, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps

import numpy as np
import numpy.typing as npt
from numba import njit

from her2sr_acq.config import load, resolve
from her2sr_proc.benchmark import CAMERA, machine_name, make_movie
from her2sr_proc.kernels import abreast
from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.params import LocalizeParams
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

SPOTS, SIGMA_PX = 2000, 1.3
SPOT_NM = 92.0
"""Of the 561 channel, as the packaged protocols have it."""
LIT_BEFORE_S = (0.0, 9.0, 36.0, 75.0, 150.0)
"""From the first frame of a published burst to its last."""
ROUNDS, CALLS = 5, 2000
STEPS = {
    "_fit_abreast": "spots of the known width, sixteen side by side",
    "_relief": "whether odd ones stand out of curved ground",
    "_fit_boxes": "odd spots, width free, sixteen side by side",
    "_settle": "spots that share light, and what stands",
}


def watched(localizer: Localizer) -> tuple[Counter[str], Counter[str]]:
    """Count milliseconds and spots of every step of a localizer from now on."""
    spent: Counter[str] = Counter()
    spots: Counter[str] = Counter()

    def watch(name: str) -> None:
        step = getattr(localizer, name)

        @wraps(step)
        def timed(adu, *rest, **named):
            begun = time.thread_time()
            found = step(adu, *rest, **named)
            spent[name] += 1000.0 * (time.thread_time() - begun)
            spots[name] += len(rest[0])
            return found

        setattr(localizer, name, timed)

    for name in STEPS:
        watch(name)
    return spent, spots


def frame_times(movie, params: LocalizeParams, camera=None) -> None:
    """Print the ways of a movie's spots, the best of some rounds."""
    camera = camera or CameraMaps.uniform(CAMERA, movie.shape[1:])
    localizer = Localizer(camera, pixel_nm=CAMERA.pixel_nm, params=params)
    localizer.block(movie, first_frame=0)  # compiles, touches its planes
    spent, spots = watched(localizer)
    best = None
    for _ in range(ROUNDS):
        spent.clear()
        spots.clear()
        begun = time.thread_time()
        rows = len(localizer.block(movie, first_frame=0))
        total = 1000.0 * (time.thread_time() - begun)
        if best is None or total < best[0]:
            best = total, rows, dict(spent), dict(spots)
    total, rows, spent_ms, taken = best
    frames = len(movie)
    print(f"  {total / frames:.2f} ms a frame, {rows / frames:.0f} rows")
    for name, words in STEPS.items():
        print(
            f"  {spent_ms.get(name, 0.0) / frames:7.2f} ms, "
            f"{taken.get(name, 0) / frames:6.0f} spots: {words}"
        )


def microseconds(step: Callable[..., object], *arguments: object) -> float:
    """Return what one call of a kernel takes, called from compiled code."""

    @njit
    def often(calls, arguments):
        for _ in range(calls):
            step(*arguments)

    often(1, arguments)
    best = np.inf
    for _ in range(ROUNDS):
        begun = time.thread_time()
        often(CALLS, arguments)
        best = min(best, (time.thread_time() - begun) / CALLS)
    return 1e6 * best


def lane_times(sigma_px: float) -> None:
    """Print microseconds a spot of every step of `abreast`."""
    radius = LocalizeParams(sigma_px=sigma_px).radius_px
    size, lanes = 2 * radius + 1, abreast.LANES
    rng = np.random.default_rng(1)
    pixels = size * size * lanes
    box = np.full(2 * pixels, 2.5)
    box[:pixels] += rng.poisson(40, pixels)
    state = np.zeros(abreast.STATE)
    places = {abreast.X: radius + 0.1, abreast.Y: radius - 0.1, abreast.WIDTH: sigma_px}
    for plane, value in (
        places | {abreast.PHOTONS: 1e3, abreast.BACKGROUND: 20.0}
    ).items():
        state[plane : plane + lanes] = value
    across, across_x, across_w = (np.empty(size * lanes) for _ in range(3))
    down, down_y, down_w = (np.empty(size * lanes) for _ in range(3))
    desk, far = np.empty(abreast.DESK), np.empty(size * lanes)
    sums = np.zeros(abreast.SUMS)
    adu = rng.poisson(60, (64, 64)).astype(np.uint16)
    adu.flags.writeable = False
    maps = [np.full((1, 64), value, np.float32) for value in (100.0, 0.46, 2.5)]
    along = (state, abreast.X, size, desk, across, across_x, across_w)
    aside = (state, abreast.Y, size, desk, down, down_y, down_w)
    lit = (size, box, state, across, across_x, down, down_y, sums)
    wide = (size, box, state, across, across_x, across_w, down, down_y, down_w, sums)
    abreast.axis_shares(*aside)
    rows = {
        "axis_shares, both axes": 2 * microseconds(abreast.axis_shares, *along) / lanes,
        "gather": microseconds(abreast.gather, *lit) / lanes,
        "gather_all (once)": microseconds(abreast.gather_all, *wide) / lanes,
        "misfit (once)": microseconds(
            abreast.misfit, size, box, state, across, down, far
        )
        / lanes,
        "load (once)": microseconds(
            abreast.load, adu, *maps, 30, 30, radius, sigma_px, 1.0, 65535.0, 0,
            np.empty(2 * pixels), np.zeros(abreast.STATE),
        ),
    }  # fmt: skip
    for name, us in rows.items():
        print(f"  {us:6.3f} us a spot: {name}")


def slide_movie(side: int, lit_before_s: float, frames: int) -> npt.NDArray[np.uint16]:
    """Return frames of the simulated slide at 561 nm, after so much light."""
    world = World(
        SimulationOptions(
            height=side, width=side, noise="fast", lit_before_s=lit_before_s
        )
    )
    view = View(0.0, 0.0, 1.5, 0.03, (Light(561, 0.4),))
    world.begin_burst(view)
    movie = np.zeros((frames, side, side), np.uint16)
    for frame in movie:
        world.expose(view, frame)
    return movie


def slide_settings() -> tuple[CameraModel, LocalizeParams]:
    """Return the camera of that slide, and the settings for its spots."""
    model = load(resolve("simulated")).camera.model
    return model, LocalizeParams(sigma_px=SPOT_NM / model.pixel_nm)


def tissue(side: int, lit_before_s: float) -> None:
    """Print what a frame of the simulated slide takes, after so much light."""
    print(f"the simulated slide after {lit_before_s:g} s of light:")
    movie = slide_movie(side, lit_before_s, 3)
    model, params = slide_settings()
    frame_times(movie, params, CameraMaps.uniform(model, movie.shape[1:]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--tissue", action="store_true")
    options = parser.parse_args()
    print(machine_name())
    print(f"{options.side} x {options.side}, {SPOTS} spots, one by one:")
    movie = make_movie(options.side, SPOTS, SIGMA_PX, 1)[:4]
    frame_times(movie, LocalizeParams(sigma_px=SIGMA_PX, emitters="single"))
    print("a plain spot, steps of a fit (shares and gather three to five times):")
    lane_times(SIGMA_PX)
    if options.tissue:
        for lit_before_s in LIT_BEFORE_S:
            tissue(options.side, lit_before_s)


if __name__ == "__main__":
    main()
