"""What activation feedback, planes per channel and stacks give on the simulated slide.

Run it: ``python tests/bench/bench_scan_rules.py [--only feedback|plane|stack] [--seed
1]``. The feedback keeps localizations a frame at a set density by 405 nm light in a run
without DAPI: prints the density of each stretch of 100 frames after the first 300, with
the light and without it; the set value is that of frames 300 to 400 without. The plane:
a slide of points in a thin section, whose red focus lies 70 nm from the green one;
prints the width of red spots with and without the channel's own plane. The stack: a
creeping slide; prints drift along the axis by two stacks beside the true one. Time is
simulated. Ends with 1 when a figure is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from counting_here import CountingHere
from focus_trials import DEPTH_UM, mean_picture, trial, width
from short import short_folder
from stations import Rig, request

from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import RunRequest, RunView
from her2sr_acq.plan.models import Protocol
from her2sr_proc.offline.axial import drifts_um
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.ledger import counted_attempts, read_ledger
from her2sr_proc.store.manifest import read_manifest

SETTLED_AT = 300
REACH = 0.20
STRETCH = 100
CHROMATIC_UM = 0.07
"""Between the red and the green focus of the simulated objective."""


def protocol(channels: list[dict[str, object]], **more: object) -> Protocol:
    """Return a run of one field."""
    light = {"power_percent": 40, "exposure_ms": 30, "role": "signal"}
    return Protocol.model_validate(
        {
            "name": "rules",
            "grid": {"centre": [0.0, 0.0]},
            "channels": [light | channel for channel in channels],
            **more,
        }
    )


def taken(engine: Rig, asked: RunRequest) -> RunView:
    """Take a run, however long it lasts."""
    run = engine.desk.submit(asked).id
    while (view := engine.desk.run(run)).state not in FINAL:
        assert view.state != RunState.PAUSED, view.reason
        time.sleep(0.05)
    assert view.state == RunState.COMPLETED, view.reason
    return view


def feedback(seed: int, per_frame: float, *, frames: int, is_on: bool) -> list[float]:
    """Return localizations a frame, one number for each stretch of frames."""
    channel: dict[str, object] = {"name": "561", "probe": "HER2", "laser_nm": 561}
    channel |= {"frames": frames, "spot_sigma_nm": 92}
    if is_on:
        channel["activation"] = {"per_frame": per_frame, "most_percent": 50}
    with short_folder() as folder:
        counting = CountingHere(data=folder / "data")
        with trial(
            folder,
            size=128,
            seed=seed,
            specimen="high_amplified",
            stage={"tilt_x_mrad": 0.0, "tilt_y_mrad": 0.0},
            sample={"reactivation": 40.0, "is_dapi_stained": False},
            noise="exact",
            time_scale=1.0,
            kinetics_factor=6.0,
            localizer=counting,
        ) as lab:
            view = taken(lab.engine, request(plan=protocol([channel])))
            run = lab.engine.station.data.run(view.id)
            (history,) = read_ledger(run.ledger).values()
            key = UnitKey(run=view.id, field="r00_c00", channel="561")
            counting._localizations(key.model_dump())
            counts = [(b.first_frame, counting.found[b.key]) for b in history.records()]
            for step in history.verdict.activation if is_on else ():
                print(
                    f"  from frame {step.frame}: {step.power_percent:.2f} %"
                    f" after {step.per_frame} a frame"
                )
    edges = range(0, frames, STRETCH)
    return [
        sum(n for first, n in counts if edge <= first < edge + STRETCH) / STRETCH
        for edge in edges
    ]


def hold_density(seed: int, frames: int = 1000) -> bool:
    """Print the density over a burst; tell whether it is held."""
    without = feedback(seed, 1.0, frames=frames, is_on=False)
    per_frame = round(without[SETTLED_AT // STRETCH], 1)
    held = feedback(seed, per_frame, frames=frames, is_on=True)
    late = np.array(held[SETTLED_AT // STRETCH :]) / per_frame
    print(f"set {per_frame:g} a frame; by stretches of {STRETCH} frames")
    print("  without:", " ".join(f"{n:.1f}" for n in without))
    print("  held:   ", " ".join(f"{n:.1f}" for n in held))
    print(
        f"  after {SETTLED_AT} frames {late.min():.2f} to {late.max():.2f} of the set "
        f"value, mean {late.mean():.2f}"
    )
    return bool((abs(late - 1.0) <= REACH).all())


def planes(seed: int) -> bool:
    """Print how wide red spots are with and without their own plane."""
    found = {}
    for um in (0.0, -CHROMATIC_UM, CHROMATIC_UM):
        channel: dict[str, object] = {"name": "561", "probe": "HER2", "laser_nm": 561}
        channel |= {"frames": 40, "z_offset_um": um}
        with (
            short_folder() as folder,
            trial(
                folder,
                size=256,
                seed=seed,
                specimen="high_amplified",
                stage={"tilt_x_mrad": 0.0, "tilt_y_mrad": 0.0},
                sample={"blob_nm": 5.0, "section_um": 0.1, "strays_per_um2": 1.0},
                noise="exact",
            ) as lab,
        ):
            view = taken(lab.engine, request(plan=protocol([channel])))
            found[um] = width(mean_picture(lab.engine, view.id, "r00_c00")).px
    shown = (f"{um:+.2f} um: {px:.3f} px" for um, px in found.items())
    print("width of red spots, focus set for green:", ", ".join(shown))
    best = min(found, key=lambda um: found[um])
    expected = (1.0 + (CHROMATIC_UM / DEPTH_UM) ** 2) ** 0.5
    gain = found[0.0] / found[best]
    print(f"  narrowest at {best:+.2f} um, {gain:.3f} times ({expected:.3f} by optics)")
    return best != 0.0 and abs(gain / expected - 1.0) <= 0.02


def stacks(seed: int) -> bool:
    """Print the drift along the axis by stacks, and the true one."""
    channels: list[dict[str, object]] = [
        {"name": name, "probe": probe, "laser_nm": int(name), "frames": 600}
        for name, probe in (("561", "HER2"), ("488", "CEP17"))
    ]
    with (
        short_folder() as folder,
        trial(
            folder,
            size=128,
            seed=seed,
            specimen="high_amplified",
            stage={
                "tilt_x_mrad": 0.0,
                "tilt_y_mrad": 0.0,
                "creep_z_nm_per_min": 600.0,
                "drift_z_nm_per_min": 0.0,
            },
            sample={"section_um": 1.0},
            optics={"chromatic": False},
            noise="exact",
            time_scale=20.0,
        ) as lab,
    ):
        view = taken(lab.engine, request(plan=protocol(channels, through_focus={})))
        run = lab.engine.station.data.run(view.id)
        histories = read_ledger(run.ledger)
        chosen = counted_attempts(read_manifest(run), histories, "r00_c00")
        answering = {name: histories[key] for name, key in chosen.items()}
        told = drifts_um(read_manifest(run), answering)
        for name, history in answering.items():
            assert history.verdict is not None
            print(f"  {name}: {history.verdict.stack}")
    true_um = lab.onlooker.out_um
    firsts = [true_um[3], true_um[11]]  # the middle planes of both stacks
    true = firsts[0] - firsts[1]
    print(f"drift by stacks {told.get('561')} um, true {true:+.3f} um")
    return bool(told and abs(told["561"] - true) <= 0.15)


RULES = {
    "feedback": hold_density,
    "plane": planes,
    "stack": stacks,
}


def main() -> int:
    """Measure and print; return 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(RULES))
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    is_reached = True
    for name, rule in RULES.items():
        if chosen.only in (None, name):
            is_reached &= rule(chosen.seed)
    return 0 if is_reached else 1


if __name__ == "__main__":
    sys.exit(main())
