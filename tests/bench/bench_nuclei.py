"""Nuclei by the network and by the classical watershed, against true labels.

Run it: ``python tests/bench/bench_nuclei.py [--part held_out] [--sections 24]``.
Real images: DSB2018, the part that neither training nor choosing has seen; their pixel
is unknown, so both methods get the size of nuclei that the network measures.
Simulated ones: crowded sections of `simulators.sections` at the instrument's pixel,
which share no code with the scenes of training. Prints F1 at an IoU of 0.5 and above,
touching pairs merged, the bias of areas, and times on one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from nuclei_scores import Agreement, agreement, area_ratio, touching_pairs

from her2sr_proc.schema.count_params import NucleiParams
from her2sr_proc.segmentation import choice
from her2sr_proc.segmentation.instances import measured_diameter_px
from her2sr_proc.segmentation.network import MODEL, Network
from simulators.options import SimulationOptions
from simulators.sections import Crowd, section
from training.nuclei.examples import read, split_of

SHARED = Path(
    os.environ.get("HER2SR_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")
)
PIXEL_UM = 0.13
SECTIONS_SEED = 41_000
KINDS = ("demo", "normal_tissue", "high_amplified")
CROWDS = (25, 40, 55)
DEFOCUS_UM = (0.0, 0.3, 0.6)
METHODS = ("network", "classical")
IOUS = (0.5, 0.6, 0.7, 0.8)

Case = tuple[np.ndarray, np.ndarray, float]
"""Image, true labels, micrometres a pixel."""


def real(part: str, network: Network) -> Iterator[Case]:
    """Yield the real images of one part of the split."""
    path = SHARED / "nuclei_dsb2018.npz"
    usual_um = 2 * NucleiParams().typical_radius_um
    for picture in read(path, getattr(split_of(path), part)):
        image = picture.image.astype(np.float32)
        yield image, picture.labels, usual_um / measured_diameter_px(image, network)


def simulated(count: int, seed: int) -> Iterator[Case]:
    """Yield crowded sections: every kind, crowd and focus in turn."""
    for number in range(count):
        options = SimulationOptions(
            seed=seed + number, specimen=KINDS[number % 3], height=512, width=512
        )
        crowd = Crowd(
            nuclei=CROWDS[number // 3 % 3], defocus_um=DEFOCUS_UM[number // 9 % 3]
        )
        made = section(options, crowd)
        yield made.adu, made.labels, PIXEL_UM


def compare(name: str, cases: Iterator[Case], network: Network) -> None:
    """Print how both methods do on the same images."""
    totals = {(m, iou): Agreement() for m in METHODS for iou in IOUS}
    each: dict[str, list[float]] = {m: [] for m in METHODS}
    areas: dict[str, list[float]] = {m: [] for m in METHODS}
    for image, truth, pixel_um in cases:
        pairs = touching_pairs(truth)
        for method in METHODS:
            found = labels_by(method, image, pixel_um, network)
            for iou in IOUS:
                totals[method, iou] += agreement(found, truth, pairs, iou)
            each[method].append(agreement(found, truth, pairs).f1)
            areas[method] += area_ratio(found, truth)
    for method in METHODS:
        half = totals[method, 0.5]
        curve = " ".join(f"{iou}:{totals[method, iou].f1:.3f}" for iou in IOUS)
        print(
            f"{name:>10} {method:>9}: {len(each[method])} images, "
            f"F1 {half.f1:.3f} (mean of images {np.mean(each[method]):.3f}, "
            f"AP {half.average_precision:.3f}), by IoU {curve}; merged "
            f"{half.merged} of {half.touching} touching pairs "
            f"({100 * half.merged_share:.1f} %); area found/true "
            f"{np.median(areas[method]):.3f}"
        )


def labels_by(
    method: str, image: np.ndarray, pixel_um: float, network: Network
) -> np.ndarray:
    """Return labels by one method, and no other."""
    found = choice.segment(
        image,
        pixel_um=pixel_um,
        params=NucleiParams(method=method),
        network=lambda: network,
    )
    assert found.fallback_reason == ""
    return found.labels


def seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the shortest processor time of some rounds."""
    times = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def timing(network: Network) -> None:
    """Print seconds for two sizes of image at the instrument's pixel."""
    small = section(SimulationOptions(seed=7, height=512, width=512), Crowd()).adu
    for side in (512, 2048):
        image = np.tile(small, (side // 512, side // 512))
        for method in METHODS:
            took = seconds(lambda: labels_by(method, image, PIXEL_UM, network))  # noqa: B023
            print(f"{side} x {side} {method:>9}: {took:.2f} s")
    print(f"opening the network: {seconds(Network):.3f} s")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--part", default="held_out", choices=["held_out", "validation"]
    )
    parser.add_argument("--sections", type=int, default=27)
    parser.add_argument("--seed", type=int, default=SECTIONS_SEED)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--only", choices=["real", "simulated", "time"])
    arguments = parser.parse_args()
    network = Network(arguments.model)
    print(f"network {network.digest}, {arguments.model.stat().st_size} bytes")
    if arguments.only in (None, "real"):
        compare(f"DSB {arguments.part}", real(arguments.part, network), network)
    if arguments.only in (None, "simulated"):
        compare("sections", simulated(arguments.sections, arguments.seed), network)
    if arguments.only in (None, "time"):
        timing(network)


if __name__ == "__main__":
    main()
