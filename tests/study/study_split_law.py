"""The law of the likelihood ratio between two blobs and one, where there is one.

Run it: ``python tests/study/study_split_law.py [--trials 3000] [--seed 5]``. Prints
quantiles beside those of the law that `her2sr_proc.bounds.split_p_value` states.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import chi2

from her2sr_proc.bounds import NULL_SCALE
from her2sr_proc.mixture import Points, one_blob, two_blobs

CHANCES = (0.1, 0.05, 0.01, 0.005, 0.002)


def statistics(molecules: int, trials: int, rng: np.random.Generator) -> np.ndarray:
    """Return the test's statistic of so many sets of dyes of one blob."""
    where = rng.normal(size=(trials, molecules, 2))
    ones = np.ones((trials, molecules))
    seen = Points(where, ones, ones, np.zeros(trials))
    one = one_blob(seen)
    return 2.0 * (two_blobs(seen, one).log_likelihood - one.log_likelihood)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print("molecules", *(f"{chance:>8}" for chance in CHANCES))
    for molecules in (12, 24, 48, 96):
        found = statistics(molecules, options.trials, rng)
        told = np.quantile(found, 1.0 - np.array(CHANCES))
        print(f"{molecules:>9}", *(f"{value:8.2f}" for value in told))
    stated = NULL_SCALE * chi2.isf(CHANCES, 2)
    print("   stated", *(f"{value:8.2f}" for value in stated))


if __name__ == "__main__":
    main()
