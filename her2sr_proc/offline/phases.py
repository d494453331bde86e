"""Where the ensemble phase of a unit and of each of its nuclei ends, said with it.

A pure function of table, labels and profile, so that live and offline say the same.
"""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from her2sr_proc.clumps import find_clumps, find_clumps_by_tile
from her2sr_proc.dense import Sparse
from her2sr_proc.ensemble import EnsembleEnd, ensemble_end, mark_centroids
from her2sr_proc.localizer import FitStatus
from her2sr_proc.schema.count_params import CountParams, EnsembleParams
from her2sr_proc.schema.counts import EnsemblePhase
from her2sr_proc.schema.params import Profile
from her2sr_proc.schema.table import Localizations
from her2sr_proc.store.ensemble_light import light_metadata

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

KEY = "ensemble_phase"
"""In a table's metadata."""
UNIT_UNKNOWN = "the light of one dye is not known for this burst"


def with_phase(
    table: Localizations, *, frames: int, profile: Profile
) -> tuple[Localizations, dict[str, str]]:
    """Return a unit's table with its centroids marked, and what to say of it.

    Parameters
    ----------
    table : Localizations
        Of the whole unit, in order of frames, unmarked.
    frames : int
        Of the burst as far as it was localized.
    profile : Profile
        Size of a probe's blob, and what ends the phase.

    Returns
    -------
    Localizations, dict
        The table with column ``centroid``, and metadata for its file.
    """
    params, blob_nm = profile.ensemble, profile.count.probe_sigma_nm
    end = ensemble_end(
        table,
        find_clumps_by_tile(table, blob_nm=blob_nm, least=params.least),
        frames=frames,
        params=params,
        rng=np.random.default_rng(params.seed),
    )
    marked = mark_centroids(table, end, blob_nm=blob_nm)
    said = {KEY: _phase(end).model_dump_json()}
    if profile.localize.tells_ensembles:
        said |= light_metadata(_light_frames(table))
    return marked, said


def _light_frames(table: Localizations) -> int:
    """Return how many frames have the middle of a blob, fitted as ensemble light."""
    whole = table["status"] == FitStatus.CENTROID
    return int(np.unique(table["frame"][whole]).size)


def phase_of(metadata: dict[str, str]) -> EnsemblePhase | None:
    """Return what a table's file says; None for one of before there was such a word."""
    try:
        return EnsemblePhase.model_validate_json(metadata[KEY])
    except (KeyError, ValidationError):
        return None


def sparse_of(
    table: Localizations, phase: EnsemblePhase | None, params: CountParams
) -> Sparse | None:
    """Return what came surely after the ensemble phase; None: too few frames did."""
    if phase is None or phase.high is None or "centroid" not in table.columns:
        return None
    frames = phase.frames - math.ceil(phase.high)
    if frames < params.minimum_sparse_frames:
        return None
    late = table["frame"].astype(np.int64) >= math.ceil(phase.high)
    return Sparse(table.take(late), frames)


def nucleus_phases(
    table: Localizations,
    owners: I32,
    unit: EnsemblePhase,
    *,
    pixel_nm: float,
    profile: Profile,
) -> dict[int, EnsemblePhase]:
    """Return where the phase ends in each nucleus, by its own loci.

    Parameters
    ----------
    table : Localizations
        Of the unit.
    owners : int32 array, shape (height, width)
        The nucleus of every pixel, margins included; 0: none.
    unit : EnsemblePhase
        Says what the light of one dye is.
    pixel_nm : float
        Width of a pixel in the sample.
    profile : Profile
        As for the unit.
    """
    of_row = _owner_of_rows(table, owners, pixel_nm)
    order = np.argsort(of_row, kind="stable")
    labels = np.unique(owners[owners > 0])
    first = np.searchsorted(of_row[order], labels, side="left")
    last = np.searchsorted(of_row[order], labels, side="right")
    return {
        int(label): _nucleus_phase(table.take(order[a:b]), unit, profile)
        for label, a, b in zip(labels, first, last, strict=True)
    }


def _nucleus_phase(
    table: Localizations, unit: EnsemblePhase, profile: Profile
) -> EnsemblePhase:
    if unit.dye_photons is None:
        return EnsemblePhase(frames=unit.frames, end=None, reason=UNIT_UNKNOWN)
    params: EnsembleParams = profile.ensemble
    blob_nm = profile.count.probe_sigma_nm
    end = ensemble_end(
        table,
        find_clumps(table, blob_nm=blob_nm, least=params.least),
        frames=unit.frames,
        params=params,
        rng=np.random.default_rng(params.seed),
        dye_photons=unit.dye_photons,
    )
    return _phase(end)


def _owner_of_rows(table: Localizations, owners: I32, pixel_nm: float) -> I64:
    height, width = owners.shape
    row, column = (
        np.clip(np.rint(table[name].astype(np.float64) / pixel_nm), 0, size - 1)
        for name, size in (("y_nm", height), ("x_nm", width))
    )
    return owners[row.astype(np.int64), column.astype(np.int64)].astype(np.int64)


def _phase(end: EnsembleEnd) -> EnsemblePhase:
    return EnsemblePhase.model_validate(asdict(end))
