"""How well `her2sr count LOCS` counts loci in focus: mean error by their number.

    python tests/study/count_in_tables.py [--nuclei 60] [--seed 5]

The loci of docs/counting.md: blob 80 nm, 8 dyes, 80 localizations with a spread of
60 %, precision 20 nm, 2 stray localizations a um2, a nucleus of 4 um.
"""

import argparse

import numpy as np

from her2sr_proc.density import count_table
from her2sr_proc.schema.params import CountParams
from her2sr_proc.schema.table import Localizations, empty

PIXEL_NM = 130.0
SIDE_PX = 80
RADIUS_NM = 4000.0


def made(loci, rng):
    """Return the localizations of some loci and of stray dyes."""
    middle = PIXEL_NM * SIDE_PX / 2
    side_nm = PIXEL_NM * SIDE_PX
    parts = [rng.uniform(0, side_nm, (rng.poisson(2e-6 * side_nm**2), 2))]
    done = 0
    while done < loci:
        place = rng.uniform(-RADIUS_NM, RADIUS_NM, 2)
        if np.hypot(*place) > RADIUS_NM - 300:
            continue
        dyes = middle + place + rng.normal(0, 80, (8, 2))
        many = rng.poisson(rng.gamma(1 / 0.36, 80 * 0.36))
        lit = dyes[rng.integers(0, 8, many)]
        parts.append(lit + rng.normal(0, 20, lit.shape))
        done += 1
    places = np.concatenate(parts).astype(np.float32)
    columns = {n: np.zeros(len(places), a.dtype) for n, a in empty().columns.items()}
    columns["y_nm"], columns["x_nm"] = places.T
    return Localizations(columns)


def main():
    """Print one line for each number of loci."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuclei", type=int, default=60)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    y, x = (np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2) * PIXEL_NM
    labels = (np.hypot(y, x) < RADIUS_NM).astype(np.int32)
    print("loci  mean error  mean absolute error  merged: mean error")
    for loci in (2, 4, 8, 16):
        found = [
            count_table(
                made(loci, rng), labels, pixel_nm=PIXEL_NM, params=CountParams()
            )
            for _ in range(options.nuclei)
        ]
        sr = np.array([one[1]["sr"].count for one in found]) - loci
        merged = np.array([one[1]["sr_merged"].count for one in found]) - loci
        print(f"{loci:4}{sr.mean():12.2f}{abs(sr).mean():21.2f}{merged.mean():20.2f}")


if __name__ == "__main__":
    main()
