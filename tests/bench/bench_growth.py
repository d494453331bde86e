"""How cost and memory grow: frames, emitters, frame size, nuclei, fields of a run.

Run it: ``python tests/bench/bench_growth.py [--most 1000000] [--only WORD]``.
Every step is called at several sizes; cost is processor time, memory the highest
resident over what was resident before. The exponent is the slope of log cost against
log size over the larger half of the sizes. Prints one table, writes ``growth.png`` and
``growth.svg`` and the points as ``growth.csv``; ends with 1 when a step is worse than
linear. A million frames take about an hour; the default of `make bench` is 100,000.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from growth import Series, plot, series, table
from growth_cases import (
    BLOCK,
    PER_FRAME,
    SMALL_PX,
    Case,
    Runs,
    Store,
    counting,
    drifting,
    linking,
    localize,
    rendering,
)

FRAMES, EMITTERS = "frames", "emitters a frame"
PIXELS, NUCLEI, FIELDS = (
    "pixels a side, squared",
    "nuclei of a field",
    "fields of a run",
)
STEPS = (1, 3)


def decades(first: int, last: int) -> list[int]:
    """Return 1, 3, 10, 30 ... times ``first``, up to ``last``."""
    sizes, ten = [], first
    while ten <= last:
        sizes += [step * ten for step in STEPS if step * ten <= last]
        ten *= 10
    return sizes


def cases(folder: Path, most: int) -> Iterator[tuple[str, str, list[int], Case]]:
    """Yield name, axis, sizes and preparation of everything that is measured."""
    frames = decades(1000, most)
    store, runs = Store(folder), Runs(folder)
    yield "localize", FRAMES, frames, lambda n: localize(n, SMALL_PX, PER_FRAME)
    yield "link", FRAMES, frames, lambda n: linking(n, 4)
    yield "drift", FRAMES, frames, lambda n: drifting(n, 4)
    yield "render", FRAMES, frames, lambda n: rendering(n, 4, 256)
    yield "write raw", FRAMES, frames, lambda n: store.writing(n, SMALL_PX, BLOCK)
    yield "read raw", FRAMES, frames, lambda n: store.reading(n, SMALL_PX, BLOCK)
    yield "table to disk and back", FRAMES, frames, store.tables
    dense = decades(10, 1000)
    yield "localize", EMITTERS, dense, lambda n: localize(40, 512, n)
    yield "link", EMITTERS, dense, lambda n: linking(1000, n)
    yield "drift", EMITTERS, dense, lambda n: drifting(2000, n)
    yield "render", EMITTERS, dense, lambda n: rendering(1000, n, 256)
    sides = [128, 256, 512, 1024, 2048]
    squares = [side**2 for side in sides]
    yield "localize", PIXELS, squares, lambda n: localize(8, root(n), n // 2000)
    yield "render", PIXELS, squares, lambda n: rendering(200, n // 2000, root(n))
    yield "write raw", PIXELS, squares, lambda n: store.writing(8, root(n), 8)
    yield "read raw", PIXELS, squares, lambda n: store.reading(8, root(n), 8)
    yield "count", NUCLEI, [10, 20, 40, 80, 160], counting
    few = [2, 4, 8, 16, 32]
    yield "process", FIELDS, few, runs.processing
    many = [4, 8, 16, 32, 64]
    yield "process what is done", FIELDS, many, runs.processing_again
    yield "verify", FIELDS, many, runs.verifying
    yield "account", FIELDS, many, runs.accounting
    yield "may raw go", FIELDS, many, runs.releasing
    yield "ledger, field by field", FIELDS, many, runs.one_unit


def root(pixels: int) -> int:
    """Return the side of a square."""
    return round(pixels**0.5)


def write_all(found: list[Series], out: Path) -> None:
    """Write points and plots of what is measured so far."""
    out.mkdir(parents=True, exist_ok=True)
    write_points(found, out / "growth.csv")
    for form in ("png", "svg"):
        plot(found, out / f"growth.{form}")


def write_points(found: list[Series], path: Path) -> None:
    """Write every point as CSV."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["operation", "against", "size", "cpu_s", "peak_mb"])
        for one in found:
            for p in one.points:
                rows.writerow(
                    [one.name, one.axis, p.size, f"{p.cpu_s:.6f}", f"{p.peak_mb:.1f}"]
                )


def main() -> int:
    """Measure, print and draw; return 1 where a step is worse than linear."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000, help="frames")
    parser.add_argument("--out", type=Path, default=Path("bench-output"))
    parser.add_argument("--only", default="", help="steps whose name or axis has this")
    options = parser.parse_args()
    found: list[Series] = []
    with tempfile.TemporaryDirectory(prefix="her2sr-growth-") as name:
        for step, axis, sizes, case in cases(Path(name), options.most):
            if options.only in f"{step} {axis}":
                found.append(series(step, axis, sizes, case))
                print(table(found[-1:]).splitlines()[-1], flush=True)
                write_all(found, options.out)  # an hour's work is not kept back
    if not found:
        parser.error(f"no step has '{options.only}' in its name")
    print(f"\n{table(found)}\n\nwritten: {options.out}/growth.csv, .png, .svg")
    worse = [one for one in found if one.is_worse_than_linear]
    for one in worse:
        print(
            f"XXX {one.name} grows faster than {one.axis}: {one.law.exponent:.2f}, "
            f"at the end {one.end_exponent:.2f}"
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
