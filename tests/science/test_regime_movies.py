"""The instrument's movies hold what they say: decay, widths, places, light."""

from dataclasses import replace

import numpy as np
import pytest

from simulators.smlm.lives import Kinetics, light_of
from simulators.smlm.regime import RECIPES, STRAY, make

SMALL = replace(RECIPES["regime_slow"], side_px=128, frames=200)


@pytest.fixture(scope="module")
def movie():
    return make(SMALL, seed=3)


def test_a_movie_follows_from_its_seed(movie):
    again = make(SMALL, seed=3)
    first, second = (next(m.blocks())[1] for m in (movie, again))
    assert np.array_equal(first, second)
    other = next(make(SMALL, seed=4).blocks())[1]
    assert not np.array_equal(first, other)


def test_loci_begin_as_blobs_of_many_dyes_and_end_as_few(movie):
    lit = movie.lit().mean(axis=0)
    assert lit[0] > 35
    assert lit[-20:].mean() < 6


def test_a_spot_is_2_7_px_wide_at_the_rim_of_the_section():
    for name, focus in (("regime_488", 0.61), ("regime_561", 0.71)):
        recipe = RECIPES[name]
        width = recipe.width_px(np.array([0.0, 1.5]))
        assert width == pytest.approx([focus, 2.7], rel=0.1)


def test_pairs_lie_as_far_apart_as_they_say(movie):
    for site, distance in enumerate(movie.sites.distance_nm):
        loci = movie.locus_um[movie.locus_site == site]
        assert len(loci) == (2 if distance else 1)
        if distance:
            apart = np.hypot(*(loci[1] - loci[0])[:2])
            assert 1000.0 * apart == pytest.approx(distance)


def test_dyes_scatter_about_their_locus_by_the_blob(movie):
    mine = movie.dyes.locus != STRAY
    centre = movie.locus_um[movie.dyes.locus[mine]]
    off_nm = 1000.0 * (movie.dyes.x_px[mine] * 0.13 - centre[:, 0])
    assert off_nm.std() == pytest.approx(85.0, rel=0.1)


def test_all_light_of_a_dye_falls_on_pixels():
    quiet = replace(SMALL, background=(0.0, 0.0), hot=0.0, frames=50, strays_um2=0.0)
    movie = make(quiet, seed=5)
    _, adu = next(movie.blocks())
    electrons = (adu.astype(float) - 100.0).sum(axis=(1, 2)) * 0.46
    told = movie.dyes.light.sum(axis=0)
    assert electrons[:10] == pytest.approx(told[:10], rel=0.02)


def test_a_blink_has_the_photons_that_the_issue_names():
    light = light_of(
        Kinetics(bright_frames=0.01),
        dyes=3000,
        frames=300,
        compression=1.0,
        photons=(350.0, 150.0, 600.0),
        rng=np.random.default_rng(6),
    )
    brightest = light[:, 20:].max(axis=1)
    seen = brightest[brightest > 0]
    assert seen.max() <= 600.0 * 1.001
    assert np.median(seen) == pytest.approx(300.0, rel=0.25)


def test_compression_shortens_lives_not_blinks():
    def run(compression):
        return light_of(
            Kinetics(bright_frames=0.01),
            dyes=800,
            frames=300,
            compression=compression,
            photons=(350.0, 150.0, 600.0),
            rng=np.random.default_rng(7),
        )

    slow, fast = run(1.0), run(60.0)
    assert fast[:, 150:].sum() < 0.5 * slow[:, 150:].sum()
    stays = [
        (part > 0).sum() / ((part[:, 1:] > 0) & (part[:, :-1] == 0)).sum()
        for part in (slow[:, 10:], fast[:, 10:])
    ]
    assert stays[1] == pytest.approx(stays[0], rel=0.2)
