"""How long an overview takes, how good the fields are that it finds, and its light.

Run it: ``python tests/bench/bench_overview.py [--side 10] [--size 512] [--fields 10]
[--seeds 11 12 13] [--specimen demo normal] [--time-scale 1]``. On each slide a grid of
side x side tiles is looked at through the engine, devices and simulated microscope of a
real run, at the pace of the wall clock; fields are drawn by the seeded rule; one short
burst is taken of each. The localizer's answers come from its own code in this process.
Prints the time of the overview, the tumour nuclei in the chosen fields over those in
the best as many fields (the simulator's truth is read for this alone), the dose ledger
over the simulator's own count in the middles of the tiles, and the light that fell
where no picture was taken. Ends with 1 when a figure is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from microscopes import opened, simulated_here
from short import short_folder
from stations import Rig, request, rig

from her2sr_acq.config import load
from her2sr_acq.engine.states import FINAL
from her2sr_acq.engine.views import RunView
from her2sr_acq.plan.models import Protocol
from her2sr_acq.stream.envelope import Answer
from her2sr_proc.live.facts import Facts
from her2sr_proc.live.jobs import Jobs
from her2sr_proc.live.questions import Answerer
from her2sr_proc.schema.dose import DOSE_LINE
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.lines import numbered_lines
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.truth import TrueNuclei, read_truth
from simulators.microscope import Microscope

MOST_S = 180.0
LEAST_SHARE = 0.90
DOSE_ERROR = 0.01
FAR_UM = 10.0
"""Beyond the grid by this much the light's skirt has ended."""
FRAMES = 20


class Idle:
    """Closes nothing: what is measured here ends with the pictures."""

    def close_unit(self, unit: object) -> None:
        """Do nothing."""

    def close_field(self, run: str, field: str) -> None:
        """Do nothing."""

    def close_run(self, run: str) -> None:
        """Do nothing."""


@contextmanager
def localizer(data: Path) -> Iterator[object]:
    """Yield what answers as the localizer does, without a socket between."""
    with Jobs() as jobs:
        answerer = Answerer(jobs, Idle(), dict, Facts(DataFolder(data)))

        def ask(address: str, verb: str, body: object, *, deadline_s: float) -> Answer:
            said = answerer.answer(json.dumps({"verb": verb, "body": body}).encode())
            return Answer.model_validate(said)

        yield ask


def plan(side: int, fields: int, seed: int) -> Protocol:
    """Return a grid with an overview, and one short burst in each chosen field."""
    channel = {"name": "561", "probe": "HER2", "laser_nm": 561, "role": "signal"}
    channel |= {"power_percent": 40, "exposure_ms": 30, "frames": FRAMES}
    return Protocol.model_validate(
        {
            "name": "overview",
            "grid": {"rows": side, "columns": side, "centre": [0.0, 0.0]},
            "channels": [channel],
            "select": {"choose": "random", "fields": fields, "seed": seed},
        }
    )


def wait(engine: Rig, run: str) -> RunView:
    """Return the run at its end."""
    while (view := engine.desk.run(run)).state not in FINAL:
        time.sleep(0.1)
    return view


def counted(nuclei: TrueNuclei, manifest: Manifest) -> dict[str, int]:
    """Return the tumour nuclei whose centres lie in each tile."""
    half_um = manifest.frame_width * manifest.camera.pixel_nm / 2000.0
    tumour = nuclei.kind == "tumour"
    return {
        tile.name: int(
            (
                tumour
                & (abs(nuclei.x_um - tile.x_um) < half_um)
                & (abs(nuclei.y_um - tile.y_um) < half_um)
            ).sum()
        )
        for tile in manifest.fields
    }


def doses(
    engine: Rig, microscope: Microscope, manifest: Manifest
) -> tuple[float, float, float]:
    """Return the ledger's relative error, of all and of the worst tile, and the stray.

    A loaded machine lights a tile a little before the camera runs, which shows in the
    tiles that had an overview alone. The stray light is what fell
    on points beyond the grid, over one tile's overview.
    """
    run = engine.station.data.run(manifest.run)
    lines = [DOSE_LINE.validate_json(line) for _, line in numbered_lines(run.dose)]
    true = microscope._instrument._world.doses
    own, fell = [], []
    for tile in manifest.fields:
        here = (tile.x_um, tile.y_um)
        own.append(sum(r.full_power_s for r in lines if (r.x_um, r.y_um) == here))
        light = true.at(*here)
        fell.append(light[561])
        assert light[405] == light[488] == 0.0
    worst = max(abs(o / f - 1.0) for o, f in zip(own, fell, strict=True))
    edge = max(tile.x_um for tile in manifest.fields)
    half_um = manifest.frame_width * manifest.camera.pixel_nm / 2000.0
    beyond = edge + half_um + FAR_UM
    stray = max(true.at(beyond, tile.y_um)[561] for tile in manifest.fields)
    return abs(sum(own) / sum(fell) - 1.0), worst, stray / min(fell)


def slide(options: argparse.Namespace, kind: str, seed: int) -> bool:
    """Print the figures of one slide; tell whether they are reached."""
    with (
        short_folder() as folder,
        simulated_here(
            folder,
            size=options.size,
            specimen=kind,
            seed=seed,
            noise="exact",
            time_scale=options.time_scale,
            record_intervals=False,
        ) as bench,
        opened(bench.config, folder) as hardware,
    ):
        (data := folder / "data").mkdir()
        with (
            localizer(data) as ask,
            rig(
                data, microscope=hardware, config=load(bench.config), localizer=ask
            ) as engine,
        ):
            cpu = time.process_time()
            asked = request(plan=plan(options.side, options.fields, seed))
            view = wait(engine, engine.desk.submit(asked).id)
            cpu = time.process_time() - cpu
            folder_of_run = engine.station.data.run(view.id)
            manifest = read_manifest(folder_of_run)
            if manifest.selection is None:
                print(f"{kind}, seed {seed}: {view.state}, {view.reason}")
                return False
            error, worst, stray = doses(engine, bench.microscope, manifest)
            bench.microscope._instrument.write_truth(folder / "truth")
        truth = read_truth(folder / "truth")
        assert truth is not None
        held = counted(truth.nuclei, manifest)
        chosen = manifest.selection.chosen
        best = int(np.sort(list(held.values()))[::-1][: len(chosen)].sum())
        share = sum(held[name] for name in chosen) / max(1, best)
        overview = manifest.selection.overview
        print(
            f"{kind}, seed {seed}: {view.state}; overview of {len(held)} tiles in "
            f"{overview.took_s:.1f} s ({cpu:.0f} CPU-s, microscope included), by "
            f"{overview.scored_by}; {len(chosen)} fields in {manifest.selection.areas} "
            f"areas hold {share:.3f} of the best {best} tumour nuclei (mean of all "
            f"tiles: {np.mean(list(held.values())) * len(chosen) / max(1, best):.3f}); "
            f"ledger within {100 * error:.2f} % (worst tile {100 * worst:.2f} %); "
            f"beyond the grid {stray:.1e} of a tile",
            flush=True,
        )
        in_time = overview.took_s < MOST_S
        return in_time and share >= LEAST_SHARE and error <= DOSE_ERROR and stray < 1e-3


def main() -> int:
    """Measure every slide."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=10)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--fields", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--specimen", nargs="+", default=["demo", "normal"])
    parser.add_argument("--time-scale", type=float, default=1.0)
    options = parser.parse_args()
    reached = [
        slide(options, kind, seed)
        for kind in options.specimen
        for seed in options.seeds
    ]
    print("every figure is reached" if all(reached) else "a figure is missed")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
