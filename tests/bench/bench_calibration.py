"""How well `her2sr calibrate` finds what the simulated microscope is made of.

    python tests/bench/bench_calibration.py [--size 512] [--seed 7]

Bead film: shift of every colour at the corners and the focus offset, against the
simulator's own truth. Camera: 1,000 dark frames and 20 levels of 200, median over all
pixels. Each through MMCore, the engine's burst and the stored card, at a hundred times
the speed of a real microscope.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import numpy as np
from calibrating import instrument

from her2sr_proc.registration import moved
from her2sr_proc.store.calibrations import latest, read_array


def beads(folder: Path, size: int, seed: int) -> None:
    with instrument(folder, "bead_film", size=size, seed=seed) as at:
        began = time.process_time()
        card = at.do("beads")
        took = time.process_time() - began
        side = (size - 1) * at.taker.config.camera.model.pixel_nm
        corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], float)
        print(f"bead film, {size} x {size}, seed {seed}: {took:.1f} s of CPU")
        for nm, true in at.true_channels().items():
            found = card.registration.channel(int(nm))
            shift = [true["to_reference_x_nm"], true["to_reference_y_nm"]]
            off = moved(corners, found.to_reference) - corners - shift
            lateral = np.hypot(*off.T).max()
            axial = 1000 * abs(found.focus_offset_um - true["focus_offset_um"])
            print(
                f"  {nm} nm: {found.fiducials} beads, residual {found.residual_nm:.2f} "
                f"nm, worst corner {lateral:.2f} nm (reach 20), axial {axial:.2f} nm "
                f"(reach 100)"
            )
        pixel = at.do("pixel", frames=8).values
        print(f"  pixel {pixel['pixel_nm']} +- {pixel['error_nm']} nm (true 130)")


def camera(folder: Path, size: int, seed: int) -> None:
    with instrument(folder, "uniform_film", size=size, seed=seed) as at:
        began = time.process_time()
        card = at.do("camera", dark_frames=1000, levels=20, frames=200)
        took = time.process_time() - began
        stored, true = latest(at.data, "camera"), at.true_camera()
        found = {name: read_array(stored, name) for name in true}
        print(f"camera, {size} x {size}, seed {seed}: {took:.1f} s of CPU")
        offset = np.median(np.abs(found["offset_adu"] - true["offset_adu"]))
        print(f"  offset off by {offset:.4f} ADU (reach 0.1)")
        for name, reach in (("e_per_adu", 1), ("variance_e2", 5)):
            ratio = found[name] / true[name] - 1.0
            off, bias = np.median(np.abs(ratio)), np.median(ratio)
            print(
                f"  {name} off by {100 * off:.2f} % (reach {reach}), bias "
                f"{100 * bias:+.2f} %"
            )
        print(f"  card: {card.values}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    for act in (beads, camera):
        with tempfile.TemporaryDirectory(prefix="h2-") as folder:
            act(Path(folder), options.size, options.seed)


if __name__ == "__main__":
    main()
