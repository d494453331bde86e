"""Where each colour is sharpest, and how deep into a section it sees."""

import numpy as np
import pytest

from her2sr_proc.depth import seen_share
from her2sr_proc.errors import DataError
from her2sr_proc.through_focus import focus_curve, offset_um

PLANES = 2.0 + 0.15 * np.arange(-6, 7)


def widths(focus_um, beads=30, noise=0.02, seed=1):
    rng = np.random.default_rng(seed)
    tilt = np.linspace(-0.05, 0.05, beads)[:, None]
    exact = 92.0 * np.sqrt(1.0 + ((PLANES - focus_um - tilt) / 0.26) ** 2)
    return exact * np.exp(rng.normal(0.0, noise, exact.shape))


def test_focus_width_and_depth_are_found():
    curve = focus_curve(PLANES, widths(2.08))
    assert np.median(curve.z_um) == pytest.approx(2.08, abs=0.01)
    assert curve.sigma_nm == pytest.approx(92.0, rel=0.02)
    assert curve.depth_um == pytest.approx(0.26, rel=0.04)


def test_colours_are_compared_bead_by_bead_so_that_a_tilt_cancels():
    one = focus_curve(PLANES, widths(2.15, seed=2))
    other = focus_curve(PLANES, widths(2.00, seed=3))
    away, error = offset_um(one.z_um, other.z_um)
    assert away == pytest.approx(0.15, abs=0.005)
    assert 0.0 < error < 0.005


def test_beads_that_are_missing_in_planes_are_used_all_the_same():
    seen = widths(2.0)
    seen[:, 0] = np.nan
    seen[3, 4:9] = np.nan
    curve = focus_curve(PLANES, seen)
    assert np.isfinite(curve.z_um).sum() >= 29


@pytest.mark.parametrize("focus_um", [0.5, 3.4])
def test_a_stack_beside_the_focus_is_refused(focus_um):
    with pytest.raises(DataError, match="start nearer to the focus"):
        focus_curve(PLANES, widths(focus_um, noise=0.0))


def test_no_beads_at_all_are_refused():
    with pytest.raises(DataError, match="0 beads come into focus"):
        focus_curve(PLANES, np.zeros((0, len(PLANES))))


def test_colours_without_common_beads_are_refused():
    z = np.full(20, np.nan)
    with pytest.raises(DataError, match="0 beads come into focus in both"):
        offset_um(z, z)


@pytest.mark.parametrize(
    ("section", "plane", "share"),
    [
        (1.0, 0.0, 1.0),  # thinner than the depth of focus: all of it
        (3.0, 0.0, 2 * 0.25 * 3.0 / 3.0),
        (3.0, 1.5, 0.25 * 3.0 / 3.0),  # at its rim: half of that
        (3.0, 9.0, 0.0),
    ],
)
def test_the_depth_that_is_seen(section, plane, share):
    found = seen_share(section_um=section, focal_depth_um=0.25, plane_um=plane)
    assert found == pytest.approx(share)
