"""Acq comes to harm at random moments of short runs: what is left, and how dark?

Run it: ``python tests/soak/kill_trials.py [--trials 200] [--seed 1] [--kinds ...]``.
Every other trial is a SIGKILL, the others take their turn: a second SIGKILL while acq
starts and recovers, SIGSTOP, SIGSEGV, a crash of the camera's driver, a driver that
holds the process as a whole, a light switch that does not return. Prints a line for
each trial and the figures of all; ends with 1 at any violation.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from kills import KINDS
from trials import Bench, Trial, mixed

SORTS = {
    "complete": "units wrongly complete",
    "lost": "units lost",
    "doubled": "units doubled",
    "unread": "verified frames that cannot be read",
    "told": "accounts that differ from the folder",
    "dark": "light too long, or without a burst",
    "end": "runs that did not end",
}


def quantile(sorted_values: list[float], share: float) -> float:
    """Return the smallest value that so large a share does not exceed."""
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def dark_line(name: str, trials: list[Trial]) -> str:
    """Return how long the light stayed on after the harm, where there was light."""
    done = [trial for trial in trials if trial.dark_s is not None]
    lit = sorted(t.dark_s for t in done if t.dark_s)
    if not lit:
        return f"{name:>6}: {len(done)} done, none of them with the light on"
    p50, p90, p99 = (quantile(lit, share) for share in (0.5, 0.9, 0.99))
    return (
        f"{name:>6}: {len(done)} done, {len(lit)} with the light on; dark after "
        f"{p50:.3f} s (median), {p90:.3f} (90 %), {p99:.3f} (99 %), {lit[-1]:.3f} (max)"
    )


def report(trials: list[Trial]) -> int:
    """Print the figures; return how many violations there were."""
    found = Counter(v.sort for trial in trials for v in trial.violations)
    print(f"{len(trials)} trials in {sum(t.seconds for t in trials):.0f} s")
    for sort, text in SORTS.items():
        print(f"{found[sort]:4d} {text}")
    states = Counter(trial.state for trial in trials)
    print("runs:", ", ".join(f"{n} {state}" for state, n in states.items()))
    units: Counter[str] = Counter()
    for trial in trials:
        units.update(trial.units)
    print("units:", ", ".join(f"{n} {state}" for state, n in units.items()))
    for kind in KINDS:
        of_kind = [trial for trial in trials if trial.kind == kind]
        if of_kind:
            print(dark_line(kind, of_kind))
    print(dark_line("all", trials))
    return found.total()


def main() -> int:
    """Try, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="default: all, mixed")
    parser.add_argument("--out", type=Path, help="where to write; default: temporary")
    options = parser.parse_args()
    kinds = options.kinds or mixed(options.trials)
    kinds = [kinds[n % len(kinds)] for n in range(options.trials)]
    trials = []
    print("   # kind   at s  dark s  run                    units", flush=True)
    with tempfile.TemporaryDirectory(prefix="h2-", dir=options.out) as name:
        for trial in Bench(Path(name)).run(kinds, seed=options.seed):
            trials.append(trial)
            print(trial.line, flush=True)
            for violation in trial.violations:
                print(
                    f"     VIOLATION ({violation.sort}): {violation.text}", flush=True
                )
    return int(report(trials) > 0)


if __name__ == "__main__":
    sys.exit(main())
