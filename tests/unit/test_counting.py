"""Signals are counted by nucleus in every arm, and sister pairs once in one of them."""

import numpy as np
import pytest

from her2sr_proc.arms import ChannelEvidence
from her2sr_proc.counting import count_field
from her2sr_proc.doublets import merging_px, sister_pairs
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.table import Localizations, empty
from her2sr_proc.signals import Fluctuation
from her2sr_proc.spots import Optics, Spots, draw

PIXEL_NM = 130.0
PARAMS = CountParams()
BLOB_PX = PARAMS.probe_sigma_nm / PIXEL_NM
SHAPE = (128, 128)
LABELS = np.zeros(SHAPE, np.int32)
LABELS[10:60, 10:60] = 1
LABELS[70:120, 70:120] = 2


def evidence(probe, points, relative=None):
    """A channel whose signals stand sharp at y, x, each of a typical strength."""
    y, x = np.array(points, float).T.reshape(2, -1)
    strength = np.ones(len(y)) if relative is None else np.array(relative, float)
    generator = np.random.default_rng(1)

    def shown(power, typical, smooth_px, noise):
        spots = Spots(y, x, np.full(len(y), 0.5), strength * typical, np.zeros(len(y)))
        image = draw(spots, SHAPE, smooth_px, Optics(power, BLOB_PX))
        return (image + noise * generator.normal(size=SHAPE)).astype(np.float32)

    fluctuation = Fluctuation(
        shown(2, PARAMS.typical_fluctuation_e2, PARAMS.fine_nm / PIXEL_NM, 1.0),
        shown(2, PARAMS.typical_fluctuation_e2, PARAMS.coarse_nm / PIXEL_NM, 0.3),
    )
    light = 100 + shown(1, PARAMS.typical_light_e, 0.0, 2.0)
    rows = 10 * len(y)
    columns = {n: np.zeros(rows, a.dtype) for n, a in empty().columns.items()}
    columns["y_nm"] = np.repeat(y * PIXEL_NM, 10).astype(np.float32)
    columns["x_nm"] = np.repeat(x * PIXEL_NM, 10).astype(np.float32)
    return ChannelEvidence(probe, Localizations(columns), light, fluctuation)


def counted(*channels, params=PARAMS):
    return count_field(LABELS, channels, pixel_nm=PIXEL_NM, params=params)


HER2 = [(20, 20), (50, 20), (30, 50), (80, 80), (80, 110)]
CEP17 = [(40, 40), (100, 90)]


def numbers(result, arm):
    return {
        label: (arms[arm]["HER2"].count, arms[arm]["CEP17"].count)
        for label, arms in result.nuclei.items()
    }


@pytest.mark.parametrize("arm", ["conventional", "sr", "sr_merged"])
def test_every_arm_counts_signals_that_stand_apart(arm):
    result = counted(evidence("HER2", HER2), evidence("CEP17", CEP17))
    assert numbers(result, arm) == {1: (3, 1), 2: (2, 1)}


def test_a_signal_outside_every_nucleus_is_not_counted():
    result = counted(evidence("HER2", [*HER2, (20, 110)]))
    assert numbers(result, "sr") == {1: (3, 0), 2: (2, 0)}
    assert len([m for m in result.marks if m.arm == "sr"]) == 5


def test_a_signal_just_outside_an_outline_is_of_that_nucleus():
    result = counted(evidence("HER2", [*HER2, (63, 30)]))
    assert numbers(result, "sr")[1] == (4, 0)


def test_a_sister_pair_is_two_signals_and_one_merged():
    pair = [(30, 30), (30, 32.6)]
    result = counted(evidence("HER2", pair))
    counts = result.nuclei[1]
    assert counts["sr"]["HER2"].count == 2
    assert counts["sr_merged"]["HER2"].count == 1
    (mark,) = [m for m in result.marks if m.arm == "sr_merged"]
    assert (mark.y_px, mark.x_px) == pytest.approx((30, 31.3), abs=0.2)


def test_sisters_at_two_diameters_count_once_where_few_signals_are():
    apart = [(30, 30), (30, 35.0)]
    counts = counted(evidence("HER2", apart)).nuclei[1]
    assert (counts["sr"]["HER2"].count, counts["sr_merged"]["HER2"].count) == (2, 1)


def test_many_signals_of_a_nucleus_are_merged_when_nearer_than_a_diameter_only():
    near = {
        signals: merging_px(signals, area_px=3500, diameter_px=3.0, params=PARAMS)
        for signals in (0, 1, 2, 6, 15, 50)
    }
    assert near[2] == 6.0
    assert 3.0 < near[6] < 6.0
    assert near[15] == near[50] == near[0] == near[1] == 3.0


def test_a_stray_beside_strong_signals_is_not_one():
    result = counted(evidence("HER2", HER2, relative=[1, 1, 0.08, 1, 1]))
    assert numbers(result, "sr")[1] == (2, 0)


def test_a_signal_near_the_limit_is_counted_and_called_ambiguous():
    limit = PARAMS.minimum_strength
    faint = [1, 1, 1.15 * limit, 1, 1]
    count = counted(evidence("HER2", HER2, relative=faint)).nuclei[1]["sr"]["HER2"]
    assert (count.count, count.low, count.high, count.ambiguous) == (3, 2, 3, True)
    missed = [1, 1, 0.85 * limit, 1, 1]
    count = counted(evidence("HER2", HER2, relative=missed)).nuclei[1]["sr"]["HER2"]
    assert (count.count, count.low, count.high, count.ambiguous) == (2, 2, 3, True)


@pytest.mark.parametrize("arm", ["sr", "sr_merged", "conventional"])
def test_a_spot_with_the_light_of_four_signals_is_estimated_as_four(arm):
    crowd = [1, 1, 4.2, 1, 1]
    count = counted(evidence("HER2", HER2, relative=crowd)).nuclei[1][arm]["HER2"]
    assert (count.count, count.estimated) == (6, True)
    assert count.resolved == (3, 3, 3)
    assert 3 <= count.low < 6 < count.high


def test_a_spot_with_the_light_of_a_pair_may_hide_one_but_counts_once():
    pair = [1, 1, 2.1, 1, 1]
    count = counted(evidence("HER2", HER2, relative=pair)).nuclei[1]["sr"]["HER2"]
    assert (count.count, count.high, count.estimated) == (3, 4, False)


def test_the_papers_cap_counts_a_nucleus_with_a_cluster_as_more_than_four():
    paper = PARAMS.model_copy(update={"clusters": "cap", "ambiguous": "paper"})
    crowd = evidence("HER2", HER2, relative=[1, 1, 9, 1, 1])
    count = counted(crowd, params=paper).nuclei[1]["sr_merged"]["HER2"]
    assert (count.count, count.estimated, count.ambiguous) == (5, True, True)
    assert count.high >= 11


def test_resolved_mode_counts_what_is_told_apart_and_says_what_may_be_there():
    plain = PARAMS.model_copy(update={"clusters": "resolved"})
    crowd = evidence("HER2", HER2, relative=[1, 1, 9, 1, 1])
    count = counted(crowd, params=plain).nuclei[1]["sr"]["HER2"]
    assert (count.count, count.estimated) == (3, False)
    assert count.high >= 11


def test_clear_signals_leave_no_doubt():
    count = counted(evidence("HER2", HER2)).nuclei[1]["sr"]["HER2"]
    assert (count.low, count.high, count.ambiguous) == (3, 3, False)


def test_glow_in_both_colours_is_taken_from_the_conventional_arm():
    glow = (100, 100)
    result = counted(evidence("HER2", [*HER2, glow]), evidence("CEP17", [*CEP17, glow]))
    assert numbers(result, "conventional") == {1: (3, 1), 2: (2, 1)}


def test_a_channel_that_is_absent_counts_nothing():
    result = counted(evidence("HER2", HER2))
    assert numbers(result, "sr") == {1: (3, 0), 2: (2, 0)}


def test_a_field_without_signals_says_that_the_device_told_what_is_typical():
    result = counted(evidence("CEP17", [(0, 0)], relative=[0.0]))
    assert numbers(result, "sr") == {1: (0, 0), 2: (0, 0)}
    assert "CEP17: 0 isolated signals" in result.flags[0]
    assert result.scales["cep17_typical_fluctuation_e2"] == pytest.approx(
        PARAMS.typical_fluctuation_e2
    )


PAIRS = [
    ([(0, 0)], []),
    ([(0, 0), (0, 5)], []),
    ([(0, 0), (0, 2)], [(0, 1)]),
    ([(0, 0), (0, 2), (9, 9)], [(0, 1)]),
    ([(0, 0), (0, 1), (0, 3)], [(0, 1)]),  # a copy beside a doublet
    ([(0, 0), (0, 1), (2, 0), (2, 1)], [(0, 1), (2, 3)]),  # two doublets side by side
    ([(0, 0), (0, 2), (0, 4), (0, 6), (0, 8)], []),  # a cluster stays as resolved
    ([(0, 0), (0, 2), (9, 0), (9, 2)], [(0, 1), (2, 3)]),
]


@pytest.mark.parametrize(("points", "pairs"), PAIRS)
def test_sisters_are_near_each_other_and_in_no_crowd(points, pairs):
    assert sorted(sister_pairs(np.array(points, float), 3.0)) == pairs
