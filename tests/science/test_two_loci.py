"""Loci are told apart as often as the bound says, and one is not split.

Tolerances are three standard errors of the numbers drawn.
"""

import numpy as np
import pytest

from her2sr_proc.bounds import split_p_value, split_probability
from her2sr_proc.clumps import Clumps
from her2sr_proc.loci import find_loci
from her2sr_proc.mixture import Points, as_points, one_blob, two_blobs
from her2sr_proc.schema.count_params import LociParams
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.splitting import dye_shares

P_VALUE = 0.01
TRIALS = 600
PARAMS = LociParams()


def split_share(distance, molecules, rng, trials=TRIALS):
    """How often the test finds two in dyes of two blobs of width 1."""
    where = rng.normal(size=(trials, molecules, 2))
    where[:, :, 0] += distance / 2 * np.where(rng.random(where.shape[:2]) < 0.5, 1, -1)
    ones = np.ones(where.shape[:2])
    seen = Points(where, ones, ones, np.zeros(trials))
    one = one_blob(seen)
    gain = 2 * (two_blobs(seen, one).log_likelihood - one.log_likelihood)
    return np.mean([split_p_value(value) < P_VALUE for value in gain])


def test_one_blob_is_split_no_more_often_than_stated():
    share = split_share(0.0, 24, np.random.default_rng(1), 1500)
    assert share < P_VALUE + 3 * np.sqrt(P_VALUE / 1500)


@pytest.mark.parametrize(("distance", "molecules"), [(1.76, 48), (2.2, 24), (2.9, 24)])
def test_two_blobs_are_told_apart_as_often_as_the_bound_says(distance, molecules):
    told = split_share(distance, molecules, np.random.default_rng(2))
    stated = split_probability(
        distance, molecules=molecules, blob_nm=1.0, precision_nm=0.0, p_value=P_VALUE
    )
    assert told == pytest.approx(stated, abs=0.06 + 3 * np.sqrt(0.25 / TRIALS))


def blinking(rng, centres_nm, dyes=30, sd_nm=15.0, mean_blinks=8.0):
    """Localizations of dyes that blink, each its own number of times."""
    centre = np.repeat(np.asarray(centres_nm, float), dyes, axis=0)
    places = centre + rng.normal(0, PARAMS.blob_nm, centre.shape)
    blinks = 1 + rng.geometric(1 / mean_blinks, len(places))
    where = np.repeat(places, blinks, axis=0)
    return where + rng.normal(0, sd_nm, where.shape), np.full(len(where), sd_nm)


def as_table(where, sd, photons=350.0):
    values = {
        "frame": 10 * np.random.default_rng(0).permutation(len(where)),
        "x_nm": where[:, 0],
        "y_nm": where[:, 1],
        "sigma_nm": np.full(len(where), 90.0),
        "photons": np.full(len(where), photons),
        "uncertainty_nm": sd,
        "uncertainty_x_nm": sd,
        "uncertainty_y_nm": sd,
    }
    blank = np.zeros(len(where))
    return Localizations(
        {c.name: values.get(c.name, blank).astype(c.dtype) for c in COLUMNS}
    )


def loci_of(where, sd, **more):
    table = as_table(where, sd)
    clumps = Clumps(np.zeros(len(where), np.int64), np.array([1e6]))
    return find_loci(table, clumps, dye_photons=350.0, params=PARAMS, **more)


def test_blinks_of_one_dye_count_as_one_dye():
    rng = np.random.default_rng(3)
    where, sd = blinking(rng, [[0, 0]], dyes=40)
    seen = as_points(where, sd, blob=PARAMS.blob_nm, area=1e6)
    shares = dye_shares(seen, sd, one_blob(seen))
    assert len(where) > 300
    # told from pairs of one draw of places, to a factor of one and a half
    assert 40 / 1.5 < shares.sum() < 40 * 1.5


def test_a_single_locus_of_blinking_dyes_stays_one():
    rng = np.random.default_rng(4)
    found = [len(loci_of(*blinking(rng, [[0, 0]]))) for _ in range(25)]
    assert sum(n != 1 for n in found) <= 1


@pytest.mark.parametrize(("distance", "least"), [(250, 20), (400, 24)])
def test_two_loci_of_blinking_dyes_are_two(distance, least):
    rng = np.random.default_rng(distance)
    centres = [[0, 0], [distance, 0]]
    found = [len(loci_of(*blinking(rng, centres))) for _ in range(25)]
    assert sum(n == 2 for n in found) >= least


def test_the_places_of_two_loci_are_right():
    rng = np.random.default_rng(6)
    found = loci_of(*blinking(rng, [[0, 0], [400, 0]]))
    x = sorted(locus.x_nm for locus in found)
    assert x == pytest.approx([0, 400], abs=60)
    assert all(abs(locus.y_nm) < 60 for locus in found)
    assert all(locus.p_value < PARAMS.split_p_value for locus in found)


def test_a_stray_dye_is_no_locus():
    rng = np.random.default_rng(7)
    where = rng.normal(0, 15.0, (120, 2))
    assert loci_of(where, np.full(120, 15.0)) == []


def test_scattered_localizations_beside_a_locus_do_not_split_it():
    rng = np.random.default_rng(8)
    where, sd = blinking(rng, [[0, 0]])
    stray = rng.uniform(-450, 450, (12, 2))
    found = loci_of(np.vstack([where, stray]), np.append(sd, np.full(12, 20.0)))
    assert len(found) == 1
