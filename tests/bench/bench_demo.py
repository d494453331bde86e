"""The demo over several seeds: time, accounting, and counts beside the truth.

Prints one line a seed and says which of the promised figures were missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 120.0
ERROR_PERCENT = 10.0
SCORED_PERCENT = 70.0


def main() -> int:
    """Run the demo once a seed; return 1 when a figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13, 14, 15])
    seeds = parser.parse_args().seeds
    print(
        "seed  seconds  whole  scored  HER2/nucleus (truth, error)  "
        "CEP17/nucleus (truth, error)  signals: HER2, CEP17  group (truth)"
    )
    missed = [line for seed in seeds for line in measure(seed)]
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


def measure(seed: int) -> list[str]:
    """Run one demo, print its figures, return what it missed."""
    with tempfile.TemporaryDirectory(prefix="her2sr-bench-") as folder:
        started = time.monotonic()
        command = [Path(sys.executable).with_name("her2sr"), "demo", "--out", folder]
        code = subprocess.run(
            [*command, "--seed", str(seed)], check=False, stdout=subprocess.DEVNULL
        ).returncode
        seconds = time.monotonic() - started
        found = sorted(Path(folder).glob("runs/*/results/result.json"))
        if code != 0 or not found:
            return [f"seed {seed}: the demo ended with code {code}"]
        return judge(seed, seconds, json.loads(found[0].read_text()))


def judge(seed: int, seconds: float, result: dict) -> list[str]:
    """Print the figures of one result; return those that were missed."""
    arms, truth = result["arms"], result["truth"]
    headline, copies = arms["sr_merged"], truth["copies"]
    errors = {
        name: percent(headline[name], copies[name])
        for name in ("her2_per_nucleus", "cep17_per_nucleus")
    }
    signals = {
        name: percent(arms["sr"][name], truth["signals"][name])
        for name in ("her2_per_nucleus", "cep17_per_nucleus")
    }
    # nobody marked the tumour: the group is empty, and this one no answer
    group = headline["unmarked_group"]
    counts = result["accounting"]
    whole = (
        counts["requested"] == counts["delivered"] == counts["written"]
        and counts["localized"] == counts["localizable"]
    )
    scored = 100.0 * truth["whole_tumour_nuclei_scored"]
    scored /= max(1, truth["whole_tumour_nuclei"])
    print(
        f"{seed:4d}  {seconds:7.1f}  {whole!s:5}  {scored:5.0f}%  "
        f"{headline['her2_per_nucleus']:.2f} ({copies['her2_per_nucleus']:.2f}, "
        f"{errors['her2_per_nucleus']:+.1f}%)  {headline['cep17_per_nucleus']:.2f} "
        f"({copies['cep17_per_nucleus']:.2f}, {errors['cep17_per_nucleus']:+.1f}%)  "
        f"{signals['her2_per_nucleus']:+.1f}%, {signals['cep17_per_nucleus']:+.1f}%  "
        f"{group} ({copies['group']})",
        flush=True,
    )
    checks = {
        f"{seconds:.0f} s is over {SECONDS:.0f} s": seconds <= SECONDS,
        "accounting is not whole": whole,
        f"only {scored:.0f} % of whole tumour nuclei scored": scored >= SCORED_PERCENT,
        f"group {group} is not {copies['group']}": group == copies["group"],
        f"status {headline['status']} with {headline['nuclei']} unmarked nuclei": (
            headline["group"] is None and headline["status"] == "insufficient"
        ),
    }
    checks |= {
        f"{name} is off by {error:+.1f} %": abs(error) <= ERROR_PERCENT
        for name, error in errors.items()
    }
    return [f"seed {seed}: {text}" for text, holds in checks.items() if not holds]


def percent(found: float, true: float) -> float:
    """Return the relative error of ``found`` in percent."""
    return 100.0 * (found - true) / true


if __name__ == "__main__":
    sys.exit(main())
