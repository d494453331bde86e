"""An accelerated night: a million small frames through the whole service.

Run it: ``python tests/soak/night.py [--fields 10x10] [--frames 5000]``. Every field has
two channels. Prints what was asked for and what is there, what the guard did, memory,
threads and file handles of every process, and seconds per unit and field; ends with 1
when a frame is not accounted for, the guard tripped, something grew, or it took longer
than its time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from soaking import TIME_SCALE, Soak, soak
from vitals import HEADER

from her2sr_acq.verbs.demo_config import parse_fields

LIMIT_S = 1200.0
OVERHEAD_S = 3.0


def report(found: Soak, frames: int) -> None:
    """Print every figure."""
    counts = found.audit.accounting
    fields = len(found.fields)
    print(f"{fields} fields x 2 channels x {frames} frames, time x {TIME_SCALE:g}")
    print(f"run {found.view.state} {found.view.reason}")
    print(
        f"frames: requested {counts.requested}, delivered {counts.delivered}, written "
        f"{counts.written}, readable {found.audit.readable}, localized "
        f"{counts.localized} (from the bus {counts.published}, from disk "
        f"{counts.replayed})"
    )
    print(
        f"units: {found.audit.count('complete')} complete of {len(found.audit.units)}, "
        f"{found.bursts} bursts seen by the microscope"
    )
    print(
        f"guard: {len(found.trips)} lines in the safety log, {found.deaths} deaths of "
        f"acq; light outside bursts {found.lit_outside_s:.3f} s in all"
    )
    print(
        f"time: {found.seconds:.0f} s, of which acquisition {found.acquired_s:.0f} s; "
        f"{counts.written / found.seconds:.0f} frames a second"
    )
    print(
        f"median of a unit {found.unit_s:.2f} s; of a field beyond its exposure "
        f"{found.overhead_s:.2f} s"
    )
    print(HEADER)
    for vitals in found.sampler.vitals.values():
        print(vitals.line())
    for wrong in found.violations:
        print(f"VIOLATION: {wrong}")


def main() -> int:
    """Soak, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", default="10x10", help="rows x columns")
    parser.add_argument("--frames", type=int, default=5000, help="of a burst")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds")
    parser.add_argument("--out", type=Path, help="where to write; default: temporary")
    options = parser.parse_args()
    rows, columns = parse_fields(options.fields)
    with tempfile.TemporaryDirectory(prefix="h2-", dir=options.out) as name:
        found = soak(
            Path(name),
            rows=rows,
            columns=columns,
            frames=options.frames,
            within_s=2 * options.limit,
        )
    report(found, options.frames)
    if found.seconds >= options.limit:
        print(f"VIOLATION: it took longer than {options.limit:g} s")
    if found.overhead_s >= OVERHEAD_S:
        print(f"VIOLATION: a field costs more than {OVERHEAD_S:g} s beyond exposure")
    is_slow = found.seconds >= options.limit or found.overhead_s >= OVERHEAD_S
    return int(is_slow or bool(found.violations))


if __name__ == "__main__":
    sys.exit(main())
