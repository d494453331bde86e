"""Figures of a cohort: what is drawn where, and that nothing is lost or added."""

import numpy as np
import pytest

from her2sr_proc.report.crops import Ring, Scene, Window, side_by_side, window_around
from her2sr_proc.report.plots import Dot, bland_altman_plot, dot_plot, threshold_plot
from her2sr_proc.schema.cohort import ThresholdRow
from her2sr_proc.statistics.agreement import bland_altman
from her2sr_proc.statistics.regression import threshold_line

NUCLEI = [
    pytest.param((10, 20, 14, 22), Window(7, 23, 10, 26), id="inside"),
    pytest.param((0, 10, 0, 10), Window(0, 16, 0, 16), id="in a corner"),
    pytest.param((50, 60, 50, 60), Window(44, 60, 44, 60), id="in the other"),
]


@pytest.mark.parametrize(("box", "window"), NUCLEI)
def test_a_window_is_a_square_with_margin_kept_inside_the_field(box, window):
    top, bottom, left, right = box
    labels = np.zeros((60, 60), np.int32)
    labels[top:bottom, left:right] = 3
    assert window_around(labels, 3, 3) == window


def test_a_nucleus_larger_than_the_field_is_shown_as_far_as_it_goes():
    labels = np.ones((20, 30), np.int32)
    window = window_around(labels, 1, 5)
    assert (window.top, window.bottom) == (0, 20)
    assert window.right - window.left == 20


def scene(y, x, *, zoom):
    """A field of one lit pixel, its super-resolution image ``zoom`` times finer."""
    light = np.zeros((40, 40), np.float32)
    light[y, x] = 100.0
    fine = np.zeros((40 * zoom, 40 * zoom), np.float32)
    fine[y * zoom : (y + 1) * zoom, x * zoom : (x + 1) * zoom] = 100.0
    rings = (Ring("HER2", float(y), float(x)),)
    return Scene(
        title="s1",
        caption_conventional="c",
        caption_superresolution="s",
        conventional=[("HER2", light)],
        superresolution=[("HER2", fine)],
        rings_conventional=rings,
        rings_superresolution=rings,
        window=Window(8, 36, 4, 32),
        pixel_um=0.13,
    )


@pytest.mark.parametrize("zoom", [1, 6])
@pytest.mark.parametrize(("y", "x"), [(8, 4), (20, 17), (35, 31)])
def test_a_ring_lies_on_its_signal_in_both_arms(y, x, zoom):
    figure = side_by_side([scene(y, x, zoom=zoom)], 2.0, in_columns=False)
    for axes in figure.axes:
        picture = np.asarray(axes.images[0].get_array())[..., 0].astype(float)
        picture[picture < picture.max() / 2] = 0
        rows, columns = np.nonzero(picture)
        found = np.average(columns), np.average(rows)
        (ring,) = axes.patches
        # half a camera pixel is 12.5 of these: the edge cuts a smoothed pixel off
        assert ring.center == pytest.approx(found, abs=3.5)


def test_the_bar_is_as_long_as_it_says():
    figure = side_by_side([scene(20, 17, zoom=1)], 2.0, in_columns=True)
    (bar,) = figure.axes[0].lines
    wide_px = np.asarray(figure.axes[0].images[0].get_array()).shape[1]
    assert np.ptp(bar.get_xdata()) == pytest.approx(wide_px * 2.0 / (28 * 0.13))


def test_panels_are_lettered_as_in_the_paper():
    two = [scene(20, 17, zoom=1)] * 2
    figure = side_by_side(two, 2.0, in_columns=True)
    assert [a.get_title(loc="left")[:3] for a in figure.axes] == [
        "(a)",
        "(b)",
        "(c)",
        "(d)",
    ]
    figure = side_by_side(two, 10.0, in_columns=False)
    assert [a.get_title(loc="left")[:3] for a in figure.axes] == [
        "(1)",
        "(2)",
        "(3)",
        "(4)",
    ]


def test_every_dot_is_drawn_once_at_its_value():
    dots = [Dot("a", "1", 2.0, 3.0), Dot("b", "3", None, 9.5), Dot("c", "3", 4.0, 8.0)]
    figure = dot_plot(dots, [("1", "1+"), ("3", "3+")], "Super-resolution")
    (axes,) = figure.axes
    drawn = sorted(
        float(y) for marks in axes.collections for _, y in marks.get_offsets()
    )
    assert drawn == [2.0, 3.0, 4.0, 8.0, 9.5]
    assert axes.get_ylim()[1] > 9.5
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1+", "3+"]


def test_pairs_at_one_point_make_a_larger_one():
    pairs = [("a", 2.0, 3.0), ("b", 2.0, 3.0), ("c", 4.0, 4.0)]
    found = bland_altman([2, 2, 4], [3, 3, 4])
    (axes,) = bland_altman_plot(pairs, found, "x", "y").axes
    points = axes.collections[-1]
    assert points.get_offsets().tolist() == [[2.5, 1.0], [4.0, 0.0]]
    assert points.get_sizes().tolist() == [52.0, 26.0]


def test_residuals_of_the_line_are_chosen_less_fitted():
    rows = [
        ThresholdRow(mean_adu=m, sd_adu=s, threshold_adu=t)
        for m, s, t in [(1, 5, 30), (2, 3, 20), (3, 8, 44), (4, 4, 31), (5, 9, 52)]
    ]
    columns = ("mean_adu", "sd_adu", "threshold_adu")
    line = threshold_line(*([getattr(r, c) for r in rows] for c in columns))
    _, right = threshold_plot(rows, line.fitted_adu).axes
    got = np.asarray(right.collections[0].get_offsets())[:, 1]
    wanted = [r.threshold_adu for r in rows] - line.fitted_adu
    assert got == pytest.approx(wanted)
