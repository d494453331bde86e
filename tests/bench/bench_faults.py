"""How soon the whole service answers what befalls it, against what is to be reached.

Run it: ``python tests/bench/bench_faults.py [--openings 10] [--fillings 4]
[--fields 8] [--seed 1]``. Opens the interlock and fills the disk of the data folder (40
MB in memory, where mounting is permitted) at random moments of bursts, and times the
light by an onlooker in the microscope's own process. Then takes fields at real time
whose moves last 0.5 s, and prints what each takes beyond its exposure. Ends with 1 when
one is missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from fault_times import (
    FRAMES,
    FULL_S,
    INTERLOCK_S,
    OVERHEAD_S,
    REAL_TIME_FRAMES,
    disturbed,
    field_overheads_s,
    filled,
    mend,
    order,
)
from nights import Night, night, night_config
from short import short_folder
from small_disks import CannotMountError, mounted

NO_API = ("microscope", "guard", "localizer")
MOVE_S = 0.5
DISK_MB = 40
BRIEF_FRAMES = 40
"""At real time a burst lasts 1.2 s: two blocks."""
REST_S = 120.0
OPEN = {"device": "interlock", "kind": "open"}


@contextmanager
def service(data: Path | None = None, **options: float) -> Iterator[Night]:
    """Run everything but the web service on small frames."""
    with short_folder() as folder:
        config = night_config(folder, low_water_mb=2, **options)
        with night(config, data or folder / "data", only=NO_API) as found:
            yield found


def openings(times: int, chance: random.Random) -> list[float]:
    """Return seconds from the opening of the interlock to darkness."""
    found: list[float] = []
    with service(time_scale=10.0) as lab:
        while len(found) < times:
            run = lab.control.submit(order(columns=3))
            for _ in range(min(6, times - len(found))):  # a burst each
                after = chance.randrange(1, FRAMES - 100)
                found.append(disturbed(lab, run.id, OPEN, after_frames=after).dark_s)
                mend(lab, run.id)
            lab.rest(run.id, within_s=REST_S)
    return found


def fillings(times: int, chance: random.Random) -> list[float]:
    """Return seconds from filling a disk to darkness, at the pace of a real camera.

    Raises `CannotMountError`.
    """
    found = []
    with (
        tempfile.TemporaryDirectory() as name,
        mounted(Path(name) / "disk", DISK_MB) as disk,
        service(disk / "data", time_scale=1.0) as lab,
    ):
        for _ in range(times):
            run = lab.control.submit(order(columns=1, frames=REAL_TIME_FRAMES))
            after = chance.randrange(1, REAL_TIME_FRAMES // 2)
            answer = filled(lab, run.id, disk / "ballast", after_frames=after)
            found.append(answer.dark_s)
            lab.rest(run.id, within_s=REST_S)
    return found


def overheads(fields: int) -> list[float]:
    """Return seconds of each field but the last beyond its exposure."""
    with service(time_scale=1.0, stage={"settle_s": MOVE_S}) as lab:
        run = lab.control.submit(order(columns=fields, frames=BRIEF_FRAMES))
        view = lab.rest(run.id, within_s=REST_S + 6.0 * fields)
        assert view.state == "completed", view
        return field_overheads_s(lab.folder(view), frames=BRIEF_FRAMES)


def report(what: str, found: list[float], reach_s: float) -> bool:
    """Print one line of the table; return whether the figure is reached."""
    middle, most = sorted(found)[len(found) // 2], max(found)
    verdict = "reached" if most <= reach_s else "MISSED"
    print(
        f"{what:<36} {len(found):2d} x  median {middle:.3f} s, most {most:.3f} s  "
        f"(reach {reach_s:g} s: {verdict})"
    )
    return most <= reach_s


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--openings", type=int, default=10)
    parser.add_argument("--fillings", type=int, default=4)
    parser.add_argument("--fields", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    good = report(
        "interlock opened -> dark", openings(options.openings, chance), INTERLOCK_S
    )
    try:
        full = fillings(options.fillings, chance)
    except CannotMountError as exc:
        print(f"disk full -> dark: not measured, {exc}")
    else:
        good &= report("disk full -> dark", full, FULL_S)
    beyond = overheads(options.fields)
    good &= report(f"field beyond exposure, {MOVE_S:g} s moves", beyond, OVERHEAD_S)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
