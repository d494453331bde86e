"""What many clients cost: e-stop to darkness under load, and a burst under load.

Run it: ``python tests/bench/bench_load.py [--presses 100] [--seconds 300]``. First the
e-stop is pressed over REST in bursts of the simulated microscope, at random moments,
while 200 requests a second are asked and 20 event streams are open; darkness is what an
onlooker beside the microscope noted. Then 50 streams and 100 requests a second for as
long as one burst lasts, and the memory of every process. Ends with 1 when the p99 is
above 200 ms, a frame is lost, or memory grows.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parent))

from http_load import Done, loaded
from light_times import seconds_lit_after, state_at
from nights import EXPOSURE_MS, Night, night, night_config, night_request, until
from short import short_folder

from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.verbs.rate import configuration, request

DARK_S = 0.2
GROWN_BYTES = 16 << 20
"""Of a process in the second half of a burst; more is not flat."""
LOOK_S = 1.0
PATIENCE_S = 60.0


def is_armed(service: Night) -> bool:
    """Return whether acq knows that the latch is gone."""
    try:
        return not service.control.health().latched
    except ServiceUnavailableError:
        return False


@dataclass
class Presses:
    """What became of every press."""

    dark_s: list[float] = field(default_factory=list)
    """From the request to darkness, by the onlooker."""
    by_guard_s: list[float] = field(default_factory=list)
    """Of it, from the guard's order to its proof; the rest is the way to the guard."""
    in_the_dark: int = 0
    """Presses that met no light; they time nothing."""
    deaths: int = 0
    """Of acq, which the guard ends when it does not obey at once."""


def presses(service: Night, times: int, seed: int) -> Presses:
    """Press so often in light."""
    chance = random.Random(seed)
    run = service.control.submit(night_request(rows=20, columns=20, frames=1000))
    found = Presses()
    with httpx.Client(base_url=service.launcher.url, trust_env=False) as http:
        while len(found.dark_s) < times:
            until(lambda: service.guard.status().lit_nm, within_s=PATIENCE_S)
            time.sleep(chance.uniform(0.05, 0.6))
            began = time.monotonic()
            answer = http.post("/api/v1/estop", timeout=10.0).raise_for_status()
            # the guard ends an acq that does not obey at once; the next one takes over
            service.rest(run.id, within_s=PATIENCE_S)
            history = service.microscope.light_history(began - 2.0)
            if state_at(history, began, "light"):
                found.dark_s.append(seconds_lit_after(history, began))
                found.by_guard_s.append(answer.json()["seconds"])
            else:
                found.in_the_dark += 1
            service.guard.rearm(by="bench", reason="the next press")
            # acq hears of it from the guard, a moment later
            until(lambda: is_armed(service), within_s=PATIENCE_S)
            service.control.resume(run.id)
    service.control.stop(run.id)
    service.idle(within_s=PATIENCE_S)
    found.deaths = service.guard.status().deaths
    return found


def quantile(values: list[float], share: float) -> float:
    """Return what so large a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Memory:
    """Resident memory of every process, looked at until the end."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.taken: dict[str, list[int]] = {name: [] for name in pids}

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_S):
            for name, process in self._processes.items():
                self.taken[name].append(process.memory_info().rss)

    def grown_bytes(self, name: str) -> int:
        """Return the last quarter's median over that of the second."""
        taken = self.taken[name]
        quarter = max(1, len(taken) // 4)
        return int(median(taken[-quarter:]) - median(taken[quarter : 2 * quarter]))


def told(what: str, done: Done) -> None:
    """Print what the load was, as it came out."""
    print(
        f"{what}: {done.per_s:.0f} requests/s answered, median "
        f"{done.quantile_ms(0.5):.0f} ms, p99 {done.quantile_ms(0.99):.0f} ms; "
        f"statuses {done.statuses}, failures {done.failures}; {done.streams} streams "
        f"open at the end, {done.events} events"
    )


def pressed(folder: Path, times: int, seed: int) -> bool:
    """Measure the e-stop, print it, and return whether it is fast enough."""
    config = night_config(folder, time_scale=1.0)
    with (
        night(config, folder / "presses") as service,
        loaded(service.launcher.url, per_s=200.0, streams=20) as done,
    ):
        time.sleep(2.0)
        found = presses(service, times, seed)
    p99 = quantile(found.dark_s, 0.99)
    print(
        f"e-stop to darkness: {times} presses in light ({found.in_the_dark} met the "
        f"dark), median {1000 * median(found.dark_s):.0f} ms, p99 {1000 * p99:.0f} ms, "
        f"most {1000 * max(found.dark_s):.0f} ms (reach {1000 * DARK_S:.0f} ms); acq "
        f"was ended by the guard {found.deaths} times"
    )
    print(
        f"of which the guard and acq: median {1000 * median(found.by_guard_s):.0f} ms, "
        f"p99 {1000 * quantile(found.by_guard_s, 0.99):.0f} ms"
    )
    told("meanwhile", done)
    return p99 <= DARK_S


def burst(folder: Path, seconds: float, size: int) -> bool:
    """Measure a burst under load, print it, and return whether it is as asked."""
    frames = int(seconds * 1000.0 / EXPOSURE_MS) // 100 * 100
    config = configuration(folder, size, lit_before_s=0.0)
    with night(config, folder / "burst") as service:
        run = service.control.submit(request(frames))
        until(lambda: service.control.run(run.id).frames_done, within_s=PATIENCE_S)
        url = service.launcher.url
        with (
            loaded(url, per_s=100.0, streams=50) as done,
            Memory(service.launcher.pids) as memory,
        ):
            until(
                lambda: service.control.run(run.id).units_done,
                within_s=seconds + PATIENCE_S,
                every_s=0.5,
            )
        view = service.rest(run.id, within_s=PATIENCE_S)
        (unit,) = service.control.fields(run.id)[0].units
    lost = frames - unit.written + sum(gap.missing for gap in unit.gaps)
    print(
        f"burst of {frames} frames of {size} x {size} at 33.3 a second: lost {lost}, "
        f"unit {unit.state}, run {view.state} {view.reason}"
    )
    told("meanwhile", done)
    for name in memory.taken:
        print(
            f"{name:>12}: {memory.taken[name][-1] / 2**20:.0f} MiB, grown "
            f"{memory.grown_bytes(name) / 2**20:+.1f} MiB in the second half"
        )
    is_flat = all(memory.grown_bytes(n) < GROWN_BYTES for n in memory.taken)
    return lost == 0 and unit.state == "complete" and is_flat


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=100, help="0: none")
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="of burst; 0: none"
    )
    parser.add_argument("--size", type=int, default=512, help="pixels a side")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()}")
    is_good = True
    with short_folder() as folder:
        if options.presses:
            is_good &= pressed(folder, options.presses, options.seed)
        if options.seconds:
            is_good &= burst(folder, options.seconds, options.size)
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
