"""Beads of a stack through the focus, followed from plane to plane. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from her2sr_proc.localizer import FitStatus, Localizer
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.params import LocalizeParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.through_focus import FocusCurve, focus_curve

F64 = npt.NDArray[np.float64]
U16 = npt.NDArray[np.uint16]

BRIGHT = 0.15
"""Of the median bead's light: fainter is no bead."""
APART_NM = 1500.0
"""Beads nearer than this disturb each other out of focus."""
SAME_NM = 250.0
"""From plane to plane a bead moves less than this."""
SHARP_PLANES = 3
"""Planes around the sharpest that tell where a bead is."""
PARAMS = LocalizeParams(
    width="free",
    emitters="single",
    fit_radius_px=6,
    maximum_sigma_px=5.0,
    border_px=7,
    maximum_shift_px=3.0,
    false_per_mpx=0.01,
)
"""Wide boxes with a free width: a bead is bright, alone, and often out of focus."""


@dataclass(frozen=True, slots=True)
class Bead:
    """The beads of one colour; every array has a row a bead."""

    xy_nm: F64
    """Shape (beads, 2), near this colour's focus."""
    curve: FocusCurve


def bead_finder(camera: CameraMaps, *, pixel_nm: float) -> Localizer:
    """Return what finds and fits beads in the frames of a camera."""
    return Localizer(camera, pixel_nm=pixel_nm, params=PARAMS)


def bright_spots(finder: Localizer, frames: U16) -> tuple[Localizations, float]:
    """Return the beads of one plane, averaged over its frames, and their saturation.

    Parameters
    ----------
    finder : Localizer
        From `bead_finder`.
    frames : uint16 array, shape (frames, height, width)

    Returns
    -------
    Localizations and float
        One row a bead, seen in most frames; the share of rows that were saturated.
    """
    table = finder.block(frames, first_frame=0)
    if not len(table):
        return table, 0.0
    saturated = float(np.mean(table["status"] == FitStatus.SATURATED))
    seeds = table.take(table["frame"] == table["frame"].min())
    xy = _xy(table)
    members = cKDTree(xy).query_ball_point(_xy(seeds), SAME_NM)
    rows = [np.array(m, np.intp) for m in members if len(m) > len(frames) // 2]
    names = ("x_nm", "y_nm", "sigma_nm", "photons")
    mean = {
        name: np.array(
            [np.median(table[name][row].astype(np.float64)) for row in rows], np.float32
        )
        for name in names
    }
    beads = seeds.take(np.arange(len(rows)))
    beads = Localizations({**beads.columns, **mean})
    photons = beads["photons"].astype(np.float64)
    if not len(beads):
        return beads, saturated
    return beads.take(photons > BRIGHT * np.median(photons)), saturated


def follow(z_um: F64, planes: list[Localizations]) -> Bead:
    """Return the beads of one colour, from its planes.

    Parameters
    ----------
    z_um : float64 array, shape (planes,)
        Of the drive, as read back.
    planes : list of Localizations
        From `bright_spots`.

    Raises
    ------
    DataError
        Too few beads come into focus.
    """
    widths = np.array(
        [
            float(np.median(p["sigma_nm"].astype(np.float64))) if len(p) else np.inf
            for p in planes
        ]
    )
    sharpest = int(np.argmin(np.where(_many(planes), widths, np.inf)))
    seeds = _xy(planes[sharpest])
    if len(seeds) > 1:
        nearest = cKDTree(seeds).query(seeds, k=2)[0][:, 1]
        seeds = seeds[nearest > APART_NM]
    sigma = np.full((len(seeds), len(planes)), np.nan)
    where = np.full((len(seeds), len(planes), 2), np.nan)
    for n, plane in enumerate(planes):
        if not len(plane) or not len(seeds):
            continue
        away, index = cKDTree(_xy(plane)).query(seeds)
        near = away < SAME_NM
        sigma[near, n] = plane["sigma_nm"][index[near]]
        where[near, n] = _xy(plane)[index[near]]
    half = SHARP_PLANES // 2
    sharp = where[:, max(0, sharpest - half) : sharpest + half + 1]
    known = np.isfinite(sharp[..., 0]).any(axis=1)
    xy = np.full((len(seeds), 2), np.nan)
    xy[known] = np.nanmedian(sharp[known], axis=1)
    return Bead(xy, focus_curve(z_um, sigma))


def _many(planes: list[Localizations]) -> npt.NDArray[np.bool_]:
    """Return which planes show most of the beads: the others' widths are a choice."""
    counts = np.array([len(plane) for plane in planes])
    return np.asarray(counts >= 0.5 * counts.max(initial=0))


def _xy(table: Localizations) -> F64:
    return np.column_stack([table["x_nm"], table["y_nm"]]).astype(np.float64)
