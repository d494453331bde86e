"""How good loci, blinks and the ensemble phase's end are against a movie's truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression
from scipy.spatial import cKDTree

from her2sr_proc.bounds import position_bound_px, split_probability
from her2sr_proc.ensemble import EnsembleEnd
from her2sr_proc.loci import Locus
from her2sr_proc.schema.count_params import LociParams
from her2sr_proc.schema.table import Localizations
from simulators.smlm.movie import CAMERA
from simulators.smlm.regime import RegimeMovie

F64 = npt.NDArray[np.float64]

NEAR_NM = 500.0
"""Loci nearer to a site are of it."""
NEAR_ROW_NM = 250.0
PURE = 0.75
"""Share of a locus' light from which a localization is of its brightest dye."""
PATCH = 8
LONE_PX = 6.0
BINS = 50


@dataclass(frozen=True)
class Tally:
    """Loci found at every site, those found elsewhere, and what could be known."""

    distance_nm: F64
    z_um: F64
    found: npt.NDArray[np.int64]
    off: int
    nuclei: int
    bound: F64
    """Chance that the test tells a site's pair from dyes that are lit alone."""


def tally(movie: RegimeMovie, loci: list[Locus], params: LociParams) -> Tally:
    """Count the loci at every site."""
    sites = movie.sites
    site_nm = np.column_stack([sites.x_um, sites.y_um]) * 1000.0
    where = np.array([[n.x_nm, n.y_nm] for n in loci]).reshape(-1, 2)
    gap, owner = cKDTree(site_nm).query(where)
    mine = gap < NEAR_NM
    return Tally(
        sites.distance_nm,
        sites.z_um,
        np.bincount(owner[mine], minlength=len(sites)),
        int((~mine).sum()),
        len(movie.nuclei),
        np.array([_bound(movie, n, params) for n in range(len(sites))]),
    )


def _bound(movie: RegimeMovie, site: int, params: LociParams) -> float:
    """Return the power of the test with every dye that is once lit alone at a site."""
    distance = float(movie.sites.distance_nm[site])
    if distance == 0.0:
        return np.nan
    loci = np.flatnonzero(movie.locus_site == site)
    dyes = np.flatnonzero(np.isin(movie.dyes.locus, loci))
    lit = movie.is_lit()[dyes]
    alone = lit & (lit.sum(axis=0) == 1)
    count = int(alone.any(axis=1).sum())
    um = movie.recipe.pixel_nm / 1000.0
    x_px, y_px = movie.sites.x_um[site] / um, movie.sites.y_um[site] / um
    width = movie.recipe.width_px(movie.sites.z_um[site : site + 1])[0]
    sd = bound_px(movie, x_px, y_px, movie.recipe.photons[0], float(width))
    return split_probability(
        distance,
        molecules=max(count, 1),
        blob_nm=movie.recipe.blob_nm,
        precision_nm=sd * movie.recipe.pixel_nm,
        p_value=params.split_p_value,
    )


def bound_px(
    movie: RegimeMovie, x_px: float, y_px: float, photons: float, sigma_px: float
) -> float:
    """Return the bound of a blink on the movie's own structured ground."""
    side = movie.recipe.side_px
    i = int(np.clip(np.rint(y_px), PATCH, side - 1 - PATCH)) - PATCH
    j = int(np.clip(np.rint(x_px), PATCH, side - 1 - PATCH)) - PATCH
    ground = movie.background[i : i + 2 * PATCH + 1, j : j + 2 * PATCH + 1]
    sd = position_bound_px(
        (y_px - i, x_px - j),
        photons=photons,
        sigma_px=sigma_px,
        ground_e=ground,
        read_noise_e=CAMERA.read_noise_e,
    )
    return float(np.sqrt(np.mean(np.square(sd))))


@dataclass(frozen=True)
class Isolated:
    """Blinks that nothing else lit is near."""

    blinks: int
    found: int
    over_bound: float
    pull: float
    photons: float


def isolated(
    movie: RegimeMovie, table: Localizations, rng: np.random.Generator, most: int = 1500
) -> Isolated:
    """Return error over bound, pull and photons over truth of lone blinks in focus."""
    dyes, light = movie.dyes, movie.dyes.light
    where = np.column_stack([dyes.x_px, dyes.y_px])
    near = cKDTree(where).query_pairs(LONE_PX, output_type="ndarray")
    other = np.zeros_like(light)
    np.add.at(other, near[:, 0], light[near[:, 1]])
    np.add.at(other, near[:, 1], light[near[:, 0]])
    least, most_photons = movie.recipe.photons[1:]
    width = movie.recipe.width_px(dyes.z_um)
    sharp = width < 1.25 * movie.recipe.sigma_px
    lone = (light >= least) & (light <= most_photons) & (other == 0.0)
    dye, frame = np.nonzero(lone & sharp[:, None])
    kept = rng.permutation(dye.size)[:most]
    dye, frame = dye[kept], frame[kept]
    rows = np.column_stack([table["x_nm"], table["y_nm"]]) / movie.recipe.pixel_nm
    seen = np.column_stack([rows, table["frame"] * 1e5])
    gap, row = cKDTree(seen).query(np.column_stack([where[dye], frame * 1e5]))
    hit = gap < 250.0 / movie.recipe.pixel_nm
    error = rows[row[hit]] - where[dye[hit]]
    photons = light[dye[hit], frame[hit]].astype(np.float64)
    bound = np.array(
        [
            bound_px(movie, *where[n], float(p), float(width[n]))
            for n, p in zip(dye[hit], photons, strict=True)
        ]
    )
    own = table["uncertainty_x_nm"][row[hit]] / movie.recipe.pixel_nm
    return Isolated(
        blinks=dye.size,
        found=int(hit.sum()),
        over_bound=float(np.sqrt((error**2).mean() / (bound**2).mean())),
        pull=float(np.std(error[:, 0] / own)),
        photons=float(table["photons"][row[hit]].sum() / photons.sum()),
    )


def true_end(movie: RegimeMovie, table: Localizations, single: float) -> float | None:
    """Return the frame from which most localizations at loci are of one dye."""
    rows = np.column_stack([table["x_nm"], table["y_nm"]])
    gap, locus = cKDTree(movie.locus_um[:, :2] * 1000.0).query(rows)
    mine = gap < NEAR_ROW_NM
    frame = table["frame"][mine].astype(np.int64)
    pure = movie.purity()[locus[mine], frame] > PURE
    frames = movie.recipe.frames
    part = frame * BINS // frames
    count = np.bincount(part, minlength=BINS)
    share = np.bincount(part, pure, BINS) / np.maximum(count, 1)
    rising = isotonic_regression(share, weights=np.maximum(count, 1e-6)).x
    above = np.flatnonzero(rising >= single)
    return float(above[0] * frames / BINS) if above.size else None


def end_line(true: float | None, told: EnsembleEnd, compression: float) -> str:
    """Return truth and statement side by side, in published frames."""

    def said(frame: float | None) -> str:
        return "not reached" if frame is None else f"{frame * compression:.0f}"

    return (
        f"ensemble end: true {said(true)}, told {said(told.end)} "
        f"[{said(told.low)}, {said(told.high)}]; a dye {told.dye_photons or 0:.0f} e"
    )
