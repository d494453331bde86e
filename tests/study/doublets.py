"""Sister doublets at count level: does splitting HER2 alone change the answer?

The simulator's own geometry of cells, cuts and sisters, seen by a counter that cannot
part what lies nearer than its resolution at that depth. Ends with 1 when a figure is
missed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import numpy as np

from her2sr_proc.doublets import merging_px, sister_pairs
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import REGIONS, Sample, assess
from simulators.cells import Nucleus, Tissue, nuclei_of
from simulators.kinds import KINDS, Kind
from simulators.loci import Loci, loci_of

F64 = np.typing.NDArray[np.float64]

PARAMS = CountParams()
SCORE = ScoreParams(resamples=1000, lacking="section")
PIXEL_UM, DIAMETER_UM, SECTION_UM = 0.13, 0.4, 3.0
FOCAL_UM, EYE_UM = 0.258, 0.088
RESOLVED = 2.5
"""Widths of a spot in the image of fluctuations from which two are told apart."""
DISOMIC = Kind(her2=(2, 2), cep17=(2, 2), replicated=0.8, doublets=0.9)
SPECIMENS = {
    "disomic, doublet-rich": DISOMIC,
    **{name: KINDS[name] for name in ("doublet_rich", "normal", "polysomic")},
    **{name: KINDS[name] for name in ("low_amplified", "demo")},
}


def main() -> int:
    """Measure; return 1 when a figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=901)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--nuclei", type=int, default=2000, help="for the bias")
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    missed = sum(not bias(name, asked.nuclei, rng) for name in SPECIMENS)
    missed += not groups(asked.samples, rng)
    return 1 if missed else 0


def bias(name: str, count: int, rng: np.random.Generator) -> bool:
    """Print by how much each arm is off in each colour; return whether they agree."""
    nuclei = some_nuclei(SPECIMENS[name], count, rng)
    off: dict[tuple[str, str], float] = {}
    for probe in ("HER2", "CEP17"):
        seen = [counted(nucleus, loci, probe) for nucleus, loci in nuclei]
        copies = sum(one[2] for one in seen)
        for column, arm in enumerate(("sr", "sr_merged")):
            counts = sum(one[column] for one in seen)
            off[arm, probe] = 100 * (counts / copies - 1)
    apart = abs(off["sr_merged", "HER2"] - off["sr_merged", "CEP17"])
    words = ", ".join(
        f"{arm} {probe} {error:+.1f} %" for (arm, probe), error in off.items()
    )
    print(f"{name}: {words}; sr_merged differs by {apart:.1f} % (reach 3)", flush=True)
    return apart <= 3.0


def groups(samples: int, rng: np.random.Generator) -> bool:
    """Print how often a disomic doublet-rich sample is called group 2.

    Called: at P(group) of at least 0.95. With 20 nuclei, chance alone brings a ratio of
    2 about; the copies, counted without any error, show how often.
    """
    arms = ("sr", "sr_merged", "copies")
    tally: dict[str, Counter[str]] = {arm: Counter() for arm in arms}
    for _ in range(samples):
        nuclei = some_nuclei(DISOMIC, int(rng.choice([20, 40, 80])), rng)
        seen = {
            probe: np.array([counted(n, loci, probe) for n, loci in nuclei])
            for probe in ("HER2", "CEP17")
        }
        for column, arm in enumerate(arms):
            her2, cep17 = (seen[p][:, column] for p in ("HER2", "CEP17"))
            tally[arm][scored(her2, cep17, rng)] += 1
    for arm, found in tally.items():
        print(f"{samples} disomic doublet-rich samples by {arm}: {dict(found)}")
    return tally["sr_merged"]["called group 2"] == 0


def scored(her2: F64, cep17: F64, rng: np.random.Generator) -> str:
    """Return group and status of a sample."""
    region = np.full(len(her2), REGIONS.index("invasive"), np.int64)
    field = np.arange(len(her2)) // 4
    sample = Sample(her2=her2, cep17=cep17, region=region, field=field, visit=field)
    arm = assess(sample, params=SCORE, generator=rng).arm
    if arm.group is None:
        return arm.status
    chance = arm.group_probabilities.get(str(arm.group), 0.0)
    called = "called" if chance >= SCORE.definite_probability else "not sure of"
    return f"{called} group {arm.group}"


def some_nuclei(
    kind: Kind, count: int, rng: np.random.Generator
) -> list[tuple[Nucleus, Loci]]:
    """Return tumour nuclei with the loci of their cells."""
    tissue = Tissue(kind, SECTION_UM, lambda *_: True)
    found: list[tuple[Nucleus, Loci]] = []
    while len(found) < count:
        for nucleus in nuclei_of(tissue, (0, 0), 0, rng):
            if nucleus.kind == "tumour":
                found.append((nucleus, loci_of(nucleus, kind, SECTION_UM, rng)))
    return found[:count]


def counted(nucleus: Nucleus, loci: Loci, probe: str) -> tuple[int, int, int]:
    """Return signals as resolved, with sisters merged, and true copies."""
    mine = loci.in_section & (loci.is_her2 == (probe == "HER2"))
    points = np.column_stack([loci.y_um[mine], loci.x_um[mine]])
    places = told_apart(points, loci.z_um[mine] - SECTION_UM / 2)
    area_um2 = np.pi * nucleus.outline_a_um * nucleus.outline_b_um
    near = merging_px(
        len(places),
        area_px=area_um2 / PIXEL_UM**2,
        diameter_px=DIAMETER_UM / PIXEL_UM,
        params=PARAMS,
    )
    pairs = len(sister_pairs(places / PIXEL_UM, near))
    return len(places), len(places) - pairs, len(np.unique(loci.copy[mine]))


def told_apart(points: F64, depth_um: F64) -> F64:
    """Return the places at which spots are seen: near ones join, one by one."""
    eye = EYE_UM**2 * (1.0 + (depth_um / FOCAL_UM) ** 2)
    smooth = (PARAMS.fine_nm / 1000.0) ** 2
    blob = (PARAMS.probe_sigma_nm / 1000.0) ** 2
    reach = RESOLVED * np.sqrt((eye + smooth) / 2.0 + blob)
    places = [(point, r) for point, r in zip(points, reach, strict=True)]
    joined = True
    while joined:
        joined = False
        for n, (one, mine) in enumerate(places):
            for m in range(n + 1, len(places)):
                other, theirs = places[m]
                if np.hypot(*(one - other)) < min(mine, theirs):
                    places[n] = ((one + other) / 2.0, max(mine, theirs))
                    del places[m]
                    joined = True
                    break
            if joined:
                break
    return np.array([point for point, _ in places]).reshape(-1, 2)


if __name__ == "__main__":
    sys.exit(main())
