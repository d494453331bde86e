"""The exponent of a cost tells what is worse than linear, and what is only noisy."""

import numpy as np
import pytest
from growth import BEGIN, END, Point, Series, into_page, power_law
from growth_log import Step, measure, read_log, series_of

from her2sr_proc.drift import _segments, by_intersections
from her2sr_proc.schema.table import Localizations

SIZES = [1000, 3000, 10_000, 30_000, 100_000, 300_000]


def series(exponent, noise=0.0):
    chance = np.random.default_rng(1)
    cost = [1e-6 * n**exponent * np.exp(noise * chance.normal()) for n in SIZES]
    return Series(
        "x", "n", tuple(Point(n, c, 1.0) for n, c in zip(SIZES, cost, strict=True))
    )


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.33, 2.0])
def test_the_exponent_of_a_power_is_found(exponent):
    law = power_law(SIZES, [5.0 * n**exponent for n in SIZES])
    assert law.exponent == pytest.approx(exponent)
    assert law.error < 1e-6


def test_a_quadratic_cost_is_flagged_and_a_linear_one_is_not():
    assert series(2.0, noise=0.1).is_worse_than_linear
    assert series(1.3, noise=0.03).is_worse_than_linear
    assert not series(1.0, noise=0.1).is_worse_than_linear


def test_fixed_costs_at_small_sizes_do_not_hide_a_growth():
    points = tuple(Point(n, 0.5 + 1e-9 * n**1.8, 1.0) for n in SIZES)
    assert Series("x", "n", points).is_worse_than_linear


def test_cells_that_are_added_bit_by_bit_are_those_of_all_at_once():
    chance = np.random.default_rng(3)
    sites = chance.uniform(0, 4000, (50, 2))
    parts = [
        sites[chance.integers(0, 50, n)] + chance.normal(0, 5, (n, 2)) + 3.0 * step
        for step, n in enumerate([80, 0, 200, 1, 60, 90, 300])
    ]
    from her2sr_proc.drift import _Cells

    bit_by_bit = _Cells(parts[0])
    for part in parts[1:]:
        bit_by_bit.add(part)
    at_once = _Cells(np.concatenate(parts))
    seen = [
        cells.best_shift(parts[2], np.zeros(2), own=None)
        for cells in (bit_by_bit, at_once)
    ]
    np.testing.assert_array_equal(*seen)
    assert by_intersections(parts).shape == (7, 2)


def test_a_drift_does_not_depend_on_the_order_of_rows():
    chance = np.random.default_rng(4)
    sites = chance.uniform(0, 4000, (80, 2))
    parts = [
        sites[chance.integers(0, 80, 120)] + chance.normal(0, 5, (120, 2)) + 4.0 * step
        for step in range(6)
    ]
    shuffled = [chance.permutation(part) for part in parts]
    np.testing.assert_array_equal(by_intersections(parts), by_intersections(shuffled))


def test_segments_hold_the_rows_of_their_frames_in_the_tables_order():
    chance = np.random.default_rng(6)
    frame = chance.integers(0, 90, 500)
    frame[(frame >= 30) & (frame < 45)] = 89  # a segment without a row
    where = chance.uniform(0, 4000, (500, 2)).astype(np.float32)
    columns = {"frame": frame, "x_nm": where[:, 0], "y_nm": where[:, 1]}
    edges = np.linspace(0, 90, 7)
    found = _segments(Localizations(columns), edges)
    number = np.searchsorted(edges, frame, side="right") - 1
    assert [len(part) for part in found] == np.bincount(number, minlength=6).tolist()
    for n, part in enumerate(found):
        np.testing.assert_array_equal(part, where[number == n].astype(np.float64))


def empty(_size):
    return lambda: None


def dies(_size):
    raise SystemExit(3)


def test_a_measurement_that_was_stopped_goes_on_where_it_was(tmp_path):
    log = tmp_path / "growth.jsonl"
    steps = [Step("a", "n", [1, 10], empty), Step("b", "n", [2], empty)]
    first = next(measure(steps, log))
    assert (first.operation, first.size) == ("a", 1)
    with log.open("a") as file:
        file.write('{"operation": "b"')  # cut off
    rest = [(row.operation, row.size) for row in measure(steps, log)]
    assert rest == [("b", 2), ("a", 10)]
    assert [row.size for row in read_log(log)] == [1, 2, 10]
    assert list(measure(steps, log)) == []


def test_a_point_whose_process_dies_is_told_and_tried_again(tmp_path):
    log = tmp_path / "growth.jsonl"
    (row,) = measure([Step("a", "n", [1], dies)], log)
    assert row.fault == "its process ended with 3"
    assert series_of(read_log(log)) == []
    (row,) = measure([Step("a", "n", [1], empty)], log)
    assert not row.fault


def test_the_table_of_a_page_is_replaced_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    into_page(page, "| new |")
    assert page.read_text() == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks"):
        into_page(page, "| new |")
