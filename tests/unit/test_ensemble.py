"""Where the ensemble phase ends, and what a table says of rows before it."""

import numpy as np
import pytest

from her2sr_proc.clumps import Clumps, find_clumps
from her2sr_proc.ensemble import EnsembleEnd, ensemble_end, mark_centroids
from her2sr_proc.errors import TableError
from her2sr_proc.schema.count_params import EnsembleParams
from her2sr_proc.schema.table import COLUMNS, Localizations, empty

FRAMES, LOCI, DYE = 1000, 30, 350.0


def table_of(frame, **columns):
    blank = np.zeros(len(frame))
    defaults = {"sigma_nm": blank + 90.0, "photons": blank + DYE, "frame": frame}
    values = defaults | columns
    return Localizations(
        {c.name: np.asarray(values.get(c.name, blank)).astype(c.dtype) for c in COLUMNS}
    )


def fading(rng, mean_lit, stay=3):
    """Loci whose dyes come for some frames each; the mean falls over the burst."""
    starts = rng.poisson(mean_lit / stay, (LOCI, FRAMES))
    lit = sum(np.pad(starts, ((0, 0), (n, 0)))[:, :FRAMES] for n in range(stay))
    locus, frame = np.nonzero(lit)
    photons = DYE * lit[locus, frame] * rng.normal(1, 0.05, locus.size)
    return table_of(frame, photons=photons), Clumps(locus, np.full(LOCI, 1e5))


def told(table, clumps, frames=FRAMES):
    return ensemble_end(
        table,
        clumps,
        frames=frames,
        params=EnsembleParams(),
        rng=np.random.default_rng(0),
    )


@pytest.mark.parametrize("end", [400, 600])
def test_the_end_is_where_one_lit_dye_becomes_the_rule(end):
    # one of those lit is most often alone from 1.256 lit on average
    mean = 1.2564 * np.exp((end - np.arange(FRAMES)) / 200.0)
    found = told(*fading(np.random.default_rng(1), mean))
    assert found.end == pytest.approx(end, abs=60)
    assert found.low <= found.end <= (found.high or FRAMES)
    assert found.dye_photons == pytest.approx(DYE, rel=0.1)


def test_a_burst_that_stays_crowded_has_no_end():
    found = told(*fading(np.random.default_rng(2), np.full(FRAMES, 2.5)))
    assert found.end is None
    assert found.reason


def test_loci_that_are_never_dark_tell_no_dye():
    found = told(*fading(np.random.default_rng(3), np.full(FRAMES, 40.0)))
    assert found.dye_photons is None
    assert "lit in nearly every frame" in found.reason


def test_a_burst_that_begins_sparse_has_no_ensemble_phase():
    found = told(*fading(np.random.default_rng(4), np.full(FRAMES, 0.2)))
    assert found.end == 0.0


def test_an_empty_table_says_that_nothing_tells():
    found = told(empty(), Clumps(np.zeros(0, np.int64), np.zeros(0)))
    assert (found.end, found.reason) == (None, "no locus in focus")


END = EnsembleEnd(100, 50.0, 40.0, 60.0, DYE, 9, "")


def test_a_centroid_is_as_uncertain_as_its_blob():
    bound = np.full(4, 5.0)
    names = ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm")
    table = table_of(np.array([10, 45, 60, 99]), **dict.fromkeys(names, bound))
    marked = mark_centroids(table, END, blob_nm=85.0)
    assert marked["centroid"].tolist() == [1, 2, 0, 0]
    wide = np.hypot(5.0, 85.0)
    for name in names:
        assert marked[name] == pytest.approx([wide, wide, 5.0, 5.0])
    assert table["uncertainty_nm"].tolist() == bound.tolist()


def test_without_an_end_every_row_is_a_centroid():
    none = EnsembleEnd(100, None, None, None, None, 0, "no locus in focus")
    marked = mark_centroids(table_of(np.arange(5)), none, blob_nm=85.0)
    assert (marked["centroid"] == 1).all()


def test_clumps_are_where_localizations_lie_dense():
    rng = np.random.default_rng(5)
    locus = rng.normal(0, 85, (60, 2))
    other = rng.normal(2000, 85, (60, 2))
    alone = np.array([[1000.0, 1000.0]])
    where = np.vstack([locus, other, alone])
    table = table_of(np.arange(121), x_nm=where[:, 0], y_nm=where[:, 1])
    clumps = find_clumps(table, blob_nm=85.0, least=8)
    assert len(clumps) == 2
    assert clumps.of_row[-1] == -1
    assert len(np.unique(clumps.of_row[:60])) <= 2
    assert not set(clumps.of_row[:60]) & set(clumps.of_row[60:120]) - {-1}


def test_a_row_without_a_position_is_refused():
    table = table_of(np.arange(2), x_nm=np.array([np.nan, 1.0]))
    with pytest.raises(TableError, match="no position"):
        find_clumps(table, blob_nm=85.0, least=8)
