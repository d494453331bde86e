"""What localizing costs along a burst that decays, and what it finds of single dyes.

Run it: ``python tests/bench/bench_burst.py [--side 2048] [--seed 1] [--rounds 2]``.
Frames of the simulated slide as a published burst of 5000 goes on, every dye drawn at
its place. Prints for each moment the thread's milliseconds a frame, and, against the
truth, how many dyes that shine alone in focus were found, and how many of the rows of
the known width lie where four dyes and more shine within 200 nm: those are parts of a
blob and no molecules. Ends with the mean cost over the burst. Thread time, so that
other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from her2sr_acq.config import load, resolve
from her2sr_proc.benchmark import machine_name
from her2sr_proc.localizer import Localizer
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Localizations
from simulators.options import SimulationOptions
from simulators.world import Light, View, World

FRAMES = 5000
MOMENTS = (0, 50, 100, 200, 400, 800, 1600, 2400, 3200, 4800)
SPOT_NM, FRAME_S = 92.0, 0.03
ALONE_NM, FOCUS_UM, LEAST_E = 400.0, 0.35, 100.0
FOUND_NM, CROWD_NM, CROWD, DEPTH_UM = 80.0, 200.0, 4, 1.2
EDGE_NM = 500.0


@dataclass(frozen=True, slots=True)
class Lit:
    """Dyes that shone in one frame."""

    xy_nm: np.ndarray
    focus_um: np.ndarray
    light_e: np.ndarray


def frames_of(side: int, seed: int) -> tuple[np.ndarray, list[Lit], float]:
    """Return a frame at every moment, what shone in it, and the pixel, nm."""
    options = SimulationOptions(
        height=side, width=side, seed=seed, noise="exact", record_intervals=False
    )
    world = World(options)
    view = View(0.0, 0.0, 1.5, FRAME_S, (Light(561, 0.4),))
    world.begin_burst(view)
    adu, lit, taken = np.zeros((len(MOMENTS), side, side), np.uint16), [], 0
    for n, moment in enumerate(MOMENTS):
        if moment > taken:
            world.illuminate(view, (moment - taken) * FRAME_S)
        world.expose(view, adu[n])
        taken = moment + 1
        lit.append(lit_in(world))
    return adu, lit, options.pixel_nm


def lit_in(world: World) -> Lit:
    """Return the dyes of the frame taken last; comparisons alone may know them."""
    dyes = world._dyes
    shines = dyes._light > 0.0
    places = dyes.places[dyes.inside[shines]]
    options = world.options
    light = dyes._light[shines] * options.camera.quantum_efficiency
    return Lit(places[:, 1::-1] * options.pixel_nm, places[:, 2], light)


def held_against(table: Localizations, lit: Lit, side_nm: float) -> tuple[int, ...]:
    """Return dyes alone, those found, rows of known width, and those within crowds."""
    near = cKDTree(lit.xy_nm).query_ball_point(lit.xy_nm, ALONE_NM, return_length=True)
    inside = ((lit.xy_nm > EDGE_NM) & (lit.xy_nm < side_nm - EDGE_NM)).all(axis=1)
    alone = inside & (near == 1) & (np.abs(lit.focus_um) < FOCUS_UM)
    alone &= lit.light_e > LEAST_E
    rows = np.column_stack([table["x_nm"], table["y_nm"]]).astype(np.float64)
    if not len(rows):
        return int(alone.sum()), 0, 0, 0
    far_nm, _ = cKDTree(rows).query(lit.xy_nm[alone])
    known = rows[np.isclose(table["sigma_nm"], SPOT_NM)]
    seen = cKDTree(lit.xy_nm[np.abs(lit.focus_um) < DEPTH_UM])
    crowd = seen.query_ball_point(known, CROWD_NM, return_length=True) >= CROWD
    return (
        int(alone.sum()),
        int((far_nm < FOUND_NM).sum()),
        len(known),
        int(crowd.sum()),
    )


def thread_ms(
    localizer: Localizer, adu: np.ndarray, rounds: int
) -> tuple[float, Localizations]:
    """Return the least milliseconds a frame, and the table."""
    best = np.inf
    for _ in range(rounds):
        begun = time.thread_time()
        table = localizer.block(adu, first_frame=0)
        best = min(best, time.thread_time() - begun)
    return 1000.0 * best / len(adu), table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(machine_name())
    adu, lit, pixel_nm = frames_of(options.side, options.seed)
    model = load(resolve("simulated")).camera.model
    localizer = Localizer(
        CameraMaps.uniform(model, adu.shape[1:]),
        pixel_nm=pixel_nm,
        params=LocalizeParams(sigma_px=SPOT_NM / pixel_nm),
    )
    localizer.block(adu[:1], first_frame=0)  # compiles, touches its planes
    print("frame | ms | rows | dyes alone, found | known width, in crowds of dyes")
    costs = []
    for moment, frame, shone in zip(MOMENTS, adu, lit, strict=True):
        ms, table = thread_ms(localizer, frame[None], options.rounds)
        costs.append(ms)
        alone, found, known, crowd = held_against(table, shone, options.side * pixel_nm)
        print(
            f"{moment} | {ms:.1f} | {len(table)} | {alone}, {found} | {known}, {crowd}"
        )
    mean = np.interp(np.arange(FRAMES), MOMENTS, costs).mean()
    print(f"mean over {FRAMES} frames, on straight lines between: {mean:.1f} ms of")
    print(f"a thread; the camera takes {1000.0 * FRAME_S:.0f} ms a frame")


if __name__ == "__main__":
    main()
