"""How cost and memory grow: frames, emitters, frame size, nuclei, fields of a run.

Measure: ``nice -n 19 python tests/bench/bench_growth.py [--most 1000000]``. Every
point stands in ``OUT/growth.jsonl`` when it is done; a measurement that was stopped
goes on where it was. Small sizes of all steps come first, so that the table says
something early. A million frames take an hour or two of a processor.

Draw: ``python tests/bench/bench_growth.py --draw [--out OUT]`` measures nothing: it
makes the table, ``growth.png`` and ``growth.svg`` of the log as it stands. With
``--docs docs`` also in the documentation, where the log is kept beside the pictures.

Cost is processor time of the process; memory the highest resident over what was
resident before the call, its input. The exponent is the slope of log cost against log
size over the larger half of the sizes. Ends with 1 when a step is worse than linear.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from growth import Series, into_page, plot, table
from growth_cases import (
    BLOCK,
    PER_FRAME,
    SMALL_PX,
    Store,
    counting,
    drifting,
    linking,
    localize,
    rendering,
    rolling,
)
from growth_log import Step, measure, read_log, series_of
from growth_runs import Runs

FRAMES, EMITTERS = "frames", "emitters a frame"
PIXELS, NUCLEI, FIELDS = (
    "pixels of a frame",
    "nuclei of a field",
    "fields of a run",
)
STEPS = (1, 3)
PER_PIXELS = 2000
"""Pixels of a frame to one emitter, at every size."""


def decades(first: int, last: int) -> list[int]:
    """Return 1, 3, 10, 30 ... times ``first``, up to ``last``."""
    sizes, ten = [], first
    while ten <= last:
        sizes += [step * ten for step in STEPS if step * ten <= last]
        ten *= 10
    return sizes


def steps(folder: Path, most: int) -> list[Step]:
    """Return everything that is measured."""
    store, runs = Store(folder), Runs(folder)
    frames, dense = decades(1000, most), decades(10, 1000)
    squares = [side**2 for side in (64, 128, 256, 512, 1024, 2048)]
    few, many = [2, 4, 8, 16, 32, 64, 100], [4, 8, 16, 32, 64, 100]
    return [
        Step("localize", FRAMES, frames, lambda n: localize(n, SMALL_PX, PER_FRAME)),
        Step("link", FRAMES, frames, lambda n: linking(n, 4)),
        Step("drift", FRAMES, frames, lambda n: drifting(n, 4)),
        Step("render", FRAMES, frames, lambda n: rendering(n, 4, 256)),
        Step("write raw", FRAMES, frames, lambda n: store.writing(n, SMALL_PX, BLOCK)),
        Step("read raw", FRAMES, frames, lambda n: store.reading(n, SMALL_PX, BLOCK)),
        Step("table to disk and back", FRAMES, frames, store.tables),
        Step("account", FRAMES, frames, runs.accounting_frames),
        Step("verify", FRAMES, frames, runs.verifying_frames),
        Step("localize", EMITTERS, dense, lambda n: localize(40, 512, n)),
        Step("link", EMITTERS, dense, lambda n: linking(1000, n)),
        Step("drift", EMITTERS, dense, lambda n: drifting(2000, n)),
        Step("render", EMITTERS, dense, lambda n: rendering(1000, n, 256)),
        Step("localize", PIXELS, squares, lambda n: localize(8, root(n), lit(n))),
        Step("rolling ball", PIXELS, squares, lambda n: rolling(4, root(n))),
        Step("render", PIXELS, squares, lambda n: rendering(200, lit(n), root(n))),
        Step("write raw", PIXELS, squares, lambda n: store.writing(8, root(n), 8)),
        Step("read raw", PIXELS, squares, lambda n: store.reading(8, root(n), 8)),
        Step("count", NUCLEI, [10, 20, 40, 80, 160], counting),
        Step("process", FIELDS, few, runs.processing),
        Step("process what is done", FIELDS, many, runs.processing_again),
        Step("verify", FIELDS, many, runs.verifying),
        Step("account", FIELDS, many, runs.accounting),
        Step("may raw go", FIELDS, many, runs.releasing),
        Step("ledger, field by field", FIELDS, many, runs.ledger_by_field),
    ]


def root(pixels: int) -> int:
    """Return the side of a square."""
    return round(pixels**0.5)


def lit(pixels: int) -> int:
    """Return the emitters of a frame."""
    return max(1, pixels // PER_PIXELS)


def draw(found: list[Series], out: Path) -> None:
    """Write table and plots of what is measured so far."""
    (out / "growth.md").write_text(table(found) + "\n")
    for form in ("png", "svg"):
        plot(found, out / f"growth.{form}")


def publish(found: list[Series], log: Path, docs: Path) -> None:
    """Put table, pictures and log into the documentation."""
    into_page(docs / "performance.md", table(found))
    draw(found, docs / "images")
    (docs / "images" / "growth.md").unlink()
    kept = docs / "images" / "growth.jsonl"
    if kept.resolve() != log.resolve():
        shutil.copyfile(log, kept)


def main() -> int:
    """Measure, print and draw; return 1 where a step is worse than linear."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=int, default=100_000, help="frames")
    parser.add_argument("--out", type=Path, default=Path("bench-output"))
    parser.add_argument("--log", type=Path, help="default: OUT/growth.jsonl")
    parser.add_argument("--only", default="", help="steps whose name or axis has this")
    parser.add_argument("--draw", action="store_true", help="of the log; no measuring")
    parser.add_argument("--docs", type=Path, help="pages that show it, such as docs")
    options = parser.parse_args()
    # asked to stop: the folder of its runs goes with it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the log goes on"))
    options.out.mkdir(parents=True, exist_ok=True)
    log: Path = options.log or options.out / "growth.jsonl"
    if not options.draw:
        with tempfile.TemporaryDirectory(prefix="her2sr-growth-") as name:
            wanted = [
                step
                for step in steps(Path(name), options.most)
                if options.only in f"{step.name} {step.axis}"
            ]
            if not wanted:
                parser.error(f"no step has '{options.only}' in its name")
            for row in measure(wanted, log):
                said = row.fault or f"{row.cpu_s:.4g} CPU-s, {row.peak_mb:.0f} MB"
                print(
                    f"{row.operation}, {row.size:,} {row.against}: {said}", flush=True
                )
    found = series_of(read_log(log))
    if not found:
        parser.error(f"{log} holds no step of three points yet; measure first")
    draw(found, options.out)
    if options.docs:
        publish(found, log, options.docs)
    print(f"\n{table(found)}\n\nwritten: {options.out}/growth.md, .png, .svg")
    return _judged(found)


def _judged(found: list[Series]) -> int:
    worse = [one for one in found if one.is_worse_than_linear]
    for one in worse:
        print(
            f"XXX {one.name} grows faster than {one.axis}: {one.law.exponent:.2f}, "
            f"at the end {one.end_exponent:.2f}"
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
