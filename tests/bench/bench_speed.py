"""Speed of the localizer on the movies of the comparison, beside Picasso's.

Run it: ``python tests/bench/bench_speed.py [--peer]``; it calls `her2sr bench`. With
``--peer`` the large movie is localized by Picasso in the same run (the extra `bench`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HER2SR = Path(sys.executable).with_name("her2sr")
ROWS = (
    ("--size", "2048", "--emitters", "2000", "--frames", "60"),
    ("--size", "2048", "--emitters", "2000", "--frames", "60", "--kind", "multi"),
    ("--size", "512", "--emitters", "66", "--frames", "1000", "--jobs", "1"),
    *(
        ("--size", "512", "--emitters", "66", "--frames", "1000", "--jobs", "1", *more)
        for more in (("--sigma-px", "0.68"), ("--sigma-px", "0.68", "--kind", "multi"))
    ),
)
REACH = "reach: 200 frames/s at 2048 x 2048 on 2 cores, 1500 at 512 x 512 on one"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    for number, row in enumerate(ROWS):
        peer = ("--against", "picasso") if options.peer and number == 0 else ()
        subprocess.run([HER2SR, "bench", *row, *peer], check=True)
    print(REACH)


if __name__ == "__main__":
    main()
