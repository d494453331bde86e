"""How much of a known drift is left, by method and by how much was seen.

Run it: ``python tests/bench/bench_drift.py [--seed 1]``. 5000 frames, precision 10 nm,
a drift of 250 nm with a slow wave, without and with a random walk of 0.3 nm a frame.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "science"))

from test_after_the_fit import FRAMES, blinking, left_over_nm

from her2sr_proc.drift import measure_drift

CASES = (
    ("aim", 50, 800, 0.02),
    ("aim", 100, 800, 0.02),
    ("aim", 100, 50, 0.05),
    ("rcc", 250, 800, 0.02),
    ("rcc", 500, 800, 0.02),
    ("rcc", 500, 50, 0.05),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    t = np.arange(FRAMES) / FRAMES
    smooth = np.column_stack([250 * t, 120 * np.sin(4 * t)])
    for method, segment, sites, on in CASES:
        rng = np.random.default_rng(options.seed)
        walk = np.cumsum(rng.normal(0, 0.3, (FRAMES, 2)), axis=0)
        left = []
        for path in (smooth, smooth + walk):
            seen, _ = blinking(rng, sites=sites, on=on, path=path)
            begun = time.perf_counter()
            found = measure_drift(
                seen, frames=FRAMES, method=method, segment_frames=segment
            )
            seconds = time.perf_counter() - begun
            left.append(left_over_nm(found, path))
        print(
            f"{method} segments of {segment:3d} frames, {sites:3d} sites, "
            f"{len(seen)} localizations: {left[0]:.2f} nm left of a smooth drift, "
            f"{left[1]:.2f} nm of one with a walk; {seconds:.2f} s"
        )


if __name__ == "__main__":
    main()
