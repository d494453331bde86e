"""One field in real time: 2 x 5000 + 1000 frames of 512 x 512, every figure of it.

Run it: ``python tests/soak/real_field.py [--frames 5000] [--nuclei-frames 1000]``. The
packaged simulated microscope takes the packaged protocol `demo` with bursts of full
length, 30 ms a frame by the clock on the wall. Prints what was asked for and what is
there, the localizer's lag, the ledger of light beside the plan and an onlooker, and
memory as it went; ends with 1 when a frame is not accounted for, light is not booked,
the localizer was more than 2 s behind or took more than 2 GB, a burst took longer than
its exposures, or another process grew: went on taking memory from burst to burst, by
the rule of ``tests/support/steady.py``. Needs a machine of two cores that does nothing
else. Six minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from real_time import GROWTH_MB, RealTime, one_field, take
from vitals import HEADER, Vitals

POINTS = 10


def report(done: RealTime) -> None:
    """Print every figure."""
    counts, lags_s = done.audit.accounting, done.lags_s
    print(f"run {done.view.state} {done.view.reason}in {done.seconds:.0f} s")
    print(
        f"frames: requested {counts.requested}, delivered {counts.delivered}, written "
        f"{counts.written}, readable {done.audit.readable}; localized "
        f"{counts.localized} of {counts.localizable} (from the bus {counts.published}, "
        f"from disk {counts.replayed})"
    )
    for channel, (took_s, exposed_s) in done.burst_s().items():
        print(f"{channel}: {took_s:.1f} s for {exposed_s:.1f} s of exposures")
    print(
        f"localizer behind the disk: median {median(lags_s):.2f} s, at most "
        f"{max(lags_s):.2f} s"
    )
    print(
        f"light outside bursts {done.lit_outside_s:.3f} s in all; by line, in seconds "
        f"of full power (and seconds switched on):"
    )
    for line in done.light.values():
        print(
            f"{line.nm:>5} nm: planned {line.planned_s:.2f}, booked "
            f"{line.booked_s:.2f} ({line.on_s:.2f} on)"
        )
    print(HEADER)
    for vitals in done.sampler.vitals.values():
        print(vitals.line())
    for vitals in done.sampler.vitals.values():
        print(f"{vitals.name:>12}, MB as time goes: {curve(vitals)}")
        grown_mb = done.grown_mb(vitals.name)
        told = "bursts too short to tell" if grown_mb is None else f"{grown_mb:+.1f} MB"
        print(f"{'':>12}  peak {vitals.peak_mb:.0f} MB; from burst to burst {told}")
    for wrong in done.violations:
        print(f"VIOLATION: {wrong}")


def curve(vitals: Vitals) -> str:
    """Return memory at moments that lie evenly over the run."""
    samples = vitals.samples
    picked = samples[:: max(1, len(samples) // POINTS)]
    return " ".join(f"{sample.rss_mb:.0f}" for sample in picked)


def main() -> int:
    """Take the field, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--frames", type=int, default=5000, help="of a signal channel")
    parser.add_argument("--nuclei-frames", type=int, default=1000, help="of DAPI")
    parser.add_argument("--growth-mb", type=float, default=GROWTH_MB)
    parser.add_argument("--out", type=Path, help="where to write; default: temporary")
    options = parser.parse_args()
    request = one_field(options.frames, options.nuclei_frames)
    with tempfile.TemporaryDirectory(prefix="h2-", dir=options.out) as name:
        done = take(Path(name), request, growth_mb=options.growth_mb)
    report(done)
    return int(bool(done.violations))


if __name__ == "__main__":
    sys.exit(main())
