"""Where loci of the instrument's movies lie: alone or in pairs, in nuclei, in depth.

Knows no light and no pixels' counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulators.smlm.scenes import Nucleus

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

SEMI_AXES_UM = (4.0, 5.2)
"""Shortest and longest of a nucleus: those of the slides are 9 to 12 um wide."""
GAP_UM = 0.4
WITHIN = 0.88
"""Of the way from the middle of a nucleus to its rim."""
TRIES = 600
ALONE_NM = 0.0
"""The distance of a site that holds a single locus."""


@dataclass(frozen=True, slots=True)
class Dealing:
    """Which sites nuclei hold."""

    distances_nm: tuple[float, ...]
    """Of the sites of each nucleus; 0 is a single locus."""
    apart_um: float
    depth_um: float
    """How far off focus a site lies at most."""
    empty: float
    """Fraction of nuclei without any."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Places that hold one locus, or two at a known distance; one entry a site."""

    x_um: F64
    y_um: F64
    z_um: F64
    """Off focus."""
    distance_nm: F64
    """Of the two loci; 0: there is one."""
    angle_rad: F64
    nucleus: I64

    def __len__(self) -> int:
        return len(self.x_um)

    def loci(self) -> tuple[I64, F64]:
        """Return each locus' site, and its x, y, z in um, shape (loci, 3)."""
        count = np.where(self.distance_nm > ALONE_NM, 2, 1)
        site = np.repeat(np.arange(len(self)), count)
        first = np.repeat(np.cumsum(count) - count, count)
        side = np.where(np.arange(site.size) == first, -0.5, 0.5)
        half_um = side * self.distance_nm[site] / 1000.0
        x = self.x_um[site] + half_um * np.cos(self.angle_rad[site])
        y = self.y_um[site] + half_um * np.sin(self.angle_rad[site])
        return site, np.column_stack([x, y, self.z_um[site]])


def place_nuclei(
    side_px: int, pixel_nm: float, margin_px: float, rng: np.random.Generator
) -> list[Nucleus]:
    """Return ellipses that do not touch, as many as find room."""
    um = 1000.0 / pixel_nm
    found: list[Nucleus] = []
    for _ in range(TRIES):
        b, a = np.sort(rng.uniform(*SEMI_AXES_UM, 2)) * um
        low, high = margin_px + a, side_px - 1 - margin_px - a
        x, y = rng.uniform(low, high, 2)
        gaps = [
            np.hypot(x - n.x_px, y - n.y_px) - a - n.a_px - GAP_UM * um for n in found
        ]
        if all(gap > 0.0 for gap in gaps):
            found.append(Nucleus(x, y, a, b, rng.uniform(0.0, np.pi)))
    return found


def place_sites(
    nuclei: list[Nucleus],
    *,
    pixel_nm: float,
    dealing: Dealing,
    rng: np.random.Generator,
) -> Sites:
    """Return sites apart from each other; some of the nuclei are left empty."""
    um = pixel_nm / 1000.0
    rows: list[tuple[float, float, float, float, float, int]] = []
    bare = set(
        rng.permutation(len(nuclei))[: round(dealing.empty * len(nuclei))].tolist()
    )
    for number, nucleus in enumerate(nuclei):
        if number in bare:
            continue
        deal = rng.permutation(np.array(dealing.distances_nm))
        taken: list[F64] = []
        for _ in range(TRIES):
            if len(taken) == len(deal):
                break
            point = _inside(nucleus, rng) * um
            if all(np.hypot(*(point - other)) > dealing.apart_um for other in taken):
                z, angle = (
                    rng.uniform(-1.0, 1.0) * dealing.depth_um,
                    rng.uniform(0.0, np.pi),
                )
                kind = float(deal[len(taken)])
                taken.append(point)
                rows.append((point[0], point[1], z, kind, angle, number))
    table = np.array(rows).reshape(-1, 6)
    return Sites(
        x_um=table[:, 0],
        y_um=table[:, 1],
        z_um=table[:, 2],
        distance_nm=table[:, 3],
        angle_rad=table[:, 4],
        nucleus=table[:, 5].astype(np.int64),
    )


def scatter(nucleus: Nucleus, count: int, rng: np.random.Generator) -> F64:
    """Return x, y in pixels of points anywhere in a nucleus, shape (count, 2)."""
    points = [_inside(nucleus, rng) for _ in range(count)]
    return np.array(points).reshape(count, 2)


def _inside(nucleus: Nucleus, rng: np.random.Generator) -> F64:
    reach, turn = WITHIN * np.sqrt(rng.random()), rng.uniform(0.0, 2.0 * np.pi)
    along = nucleus.a_px * reach * np.cos(turn)
    across = nucleus.b_px * reach * np.sin(turn)
    c, s = np.cos(nucleus.angle_rad), np.sin(nucleus.angle_rad)
    return np.array(
        [
            nucleus.x_px + along * c - across * s,
            nucleus.y_px + along * s + across * c,
        ]
    )
