"""Light and events of dense regions, and how many signals they tell."""

import numpy as np
import pytest

from her2sr_proc.clusters import Scale, guess, pooled, scale_of, settled
from her2sr_proc.dense import Seen, Sparse, dense_regions
from her2sr_proc.schema.count_params import CountParams
from her2sr_proc.schema.counts import Cluster, Isolated, ProbeCount
from her2sr_proc.schema.table import Localizations, empty
from her2sr_proc.spots import Optics, Spots, draw

PIXEL_NM, BLOB_PX = 130.0, 85.0 / 130.0
SHAPE = (128, 128)
PARAMS = CountParams()
OWNERS = np.zeros(SHAPE, np.int32)
OWNERS[:, :64], OWNERS[:, 64:] = 1, 2
SIGNAL = 18_000.0


def spots(*points, width=0.7):
    y, x = np.array(points, float).T
    blank = np.zeros(len(y))
    return Spots(y, x, blank + width**2, blank + SIGNAL, blank)


def nuclei_of(truth):
    return OWNERS[truth.y_px.astype(int), truth.x_px.astype(int)].astype(np.int64)


def regions(truth, *, ground=200.0, sparse=None):
    light = ground + draw(truth, SHAPE, 0.0, Optics(1, BLOB_PX))
    seen = Seen(light.astype(np.float32), sparse, PIXEL_NM, BLOB_PX)
    return dense_regions(truth, nuclei_of(truth), OWNERS, seen)


def sparse_rows(place, frames):
    table = {n: np.zeros(len(frames), a.dtype) for n, a in empty().columns.items()}
    table["frame"] = np.array(frames, np.int32)
    table["y_nm"], table["x_nm"] = (
        np.full(len(frames), p * PIXEL_NM, np.float32) for p in place
    )
    return Sparse(Localizations(table), 200)


@pytest.mark.parametrize("ground", [0.0, 200.0, 5000.0])
def test_a_regions_light_is_that_of_its_signals_whatever_the_ground(ground):
    one, four = regions(
        spots((30, 30), (80, 20), (81, 23), (83, 20), (79, 22)), ground=ground
    )
    assert len(one.rows) == 1
    assert one.light_e == pytest.approx(SIGNAL, rel=0.05)
    assert four.light_e == pytest.approx(4 * one.light_e, rel=0.15)


def test_regions_that_touch_are_one_and_those_apart_are_two():
    assert len(regions(spots((30, 20), (30, 25)))) == 1
    assert len(regions(spots((30, 20), (30, 40)))) == 2


def test_a_region_across_two_nuclei_is_shared_by_where_the_light_lies():
    left, right = regions(spots((30, 62), (30, 66), (28, 67)))
    assert (left.nucleus, right.nucleus) == (1, 2)
    assert not left.is_whole
    assert right.light_e > left.light_e > 0


def test_a_signal_of_no_nucleus_makes_no_region():
    truth = spots((30, 30))
    seen = Seen(np.zeros(SHAPE, np.float32), None, PIXEL_NM, BLOB_PX)
    assert not dense_regions(truth, np.zeros(1, np.int64), OWNERS, seen)
    assert not dense_regions(truth.take(np.zeros(1, bool)), np.zeros(0), OWNERS, seen)


def test_events_are_frames_that_were_not_dark_by_poissons_law():
    frames = [*range(100), *range(50)]  # two rows of one frame are one lit frame
    (region,) = regions(spots((30, 30)), sparse=sparse_rows((30, 30), frames))
    assert region.events == pytest.approx(200 * np.log(2))
    (dark,) = regions(spots((30, 30)), sparse=sparse_rows((90, 90), frames))
    assert dark.events == 0.0


def test_a_region_lit_in_every_frame_has_finite_events():
    (region,) = regions(spots((30, 30)), sparse=sparse_rows((30, 30), range(200)))
    assert np.isfinite(region.events)


def cluster(resolved, light, events=None):
    return Cluster(
        arm="sr_merged",
        probe="HER2",
        nucleus=1,
        x_px=1,
        y_px=1,
        resolved=resolved,
        light_e=light * SIGNAL,
        events=events,
    )


SCALE = Scale(SIGNAL, 0.4, 10.0, 1.0, 60, is_device=False)


@pytest.mark.parametrize(
    ("resolved", "light", "is_cluster"),
    [(1, 2.9, False), (1, 3.1, True), (9, 11.5, False), (9, 12.5, True), (4, 2, False)],
)
def test_a_cluster_has_more_light_than_its_signals_explain(resolved, light, is_cluster):
    assert (guess(cluster(resolved, light), SCALE, PARAMS) is not None) == is_cluster


def test_witnesses_that_disagree_widen_the_interval():
    alone = guess(cluster(3, 12), SCALE, PARAMS)
    agreeing = guess(cluster(3, 12, events=120.0), SCALE, PARAMS)
    apart = guess(cluster(3, 12, events=400.0), SCALE, PARAMS)
    assert alone.low < alone.count == 12 < alone.high
    assert agreeing.count == 12
    assert apart.high > 2 * alone.high
    assert apart.count > 12


def test_no_estimate_is_below_what_is_told_apart():
    found = guess(cluster(6, 12, events=0.0), SCALE, PARAMS)
    assert found.low >= 6
    assert found.count >= 6


def test_thirty_isolated_signals_calibrate_and_fewer_leave_it_to_the_device():
    few = Isolated(light_e=(1000.0,) * 29)
    assert scale_of(few, PARAMS).is_device
    assert scale_of(few, PARAMS).light_e == PARAMS.typical_light_e
    enough = scale_of(pooled([few, Isolated(light_e=(1100.0,))]), PARAMS)
    assert not enough.is_device
    assert enough.light_e == pytest.approx(1003.3, abs=0.1)


def test_a_cluster_among_isolated_regions_calibrates_nothing():
    lights = (1000.0,) * 40 + (9000.0, 50.0, -20.0)
    scale = scale_of(Isolated(light_e=lights), PARAMS)
    assert (scale.light_e, scale.isolated) == (1000.0, 40)


def test_counting_again_by_another_scale_starts_from_what_was_resolved():
    base = ProbeCount(count=3, low=3, high=3, resolved=(3, 3, 3))
    first = settled(base, [cluster(3, 12)], SCALE, PARAMS)
    assert (first.count, first.estimated) == (12, True)
    brighter = Scale(2 * SIGNAL, 0.4, None, 1.0, 60, is_device=False)
    assert settled(first, [cluster(3, 12)], brighter, PARAMS).count == 6
    assert settled(first, [], SCALE, PARAMS) == base


def test_a_count_that_a_person_typed_is_left_alone():
    typed = ProbeCount(count=3, low=3, high=3)
    assert settled(typed, [cluster(3, 12)], SCALE, PARAMS) == typed
