"""A table that is linked in parts gives the molecules of the whole, bit for bit."""

import numpy as np
import pytest

from her2sr_proc import linking
from her2sr_proc.linking import Linker, link
from her2sr_proc.offline.after_fit import thinned, whole_frames
from her2sr_proc.offline.in_order import InOrder
from her2sr_proc.schema.table import COLUMNS, Localizations, concatenate, empty


def table(rows=3000, frames=120, side_nm=400.0):
    """Rows on a grid of 5 nm, so that many pairs are equally far; some unsure."""
    rng = np.random.default_rng(3)
    columns = {c.name: rng.normal(5, 2, rows).astype(c.dtype) for c in COLUMNS}
    columns["frame"] = np.sort(rng.integers(0, frames, rows)).astype(np.int32)
    for axis in "xy":
        place = np.rint(rng.uniform(0, side_nm, rows) / 5) * 5
        columns[f"{axis}_nm"] = place.astype(np.float32)
        columns[f"uncertainty_{axis}_nm"][:100] = np.nan
    return Localizations(columns)


def parts(whole, size):
    for first in range(0, len(whole), size):
        yield whole.take(np.arange(first, min(first + size, len(whole))))


@pytest.mark.parametrize("gap", [0, 1, 4])
@pytest.mark.parametrize("size", [7, 100, 5000])
def test_parts_of_any_size_give_the_molecules_of_the_whole(gap, size, tmp_path):
    seen = table()
    linker, order = Linker(distance_nm=20, gap=gap), InOrder(tmp_path, together=200)
    for part in whole_frames(parts(seen, size)):
        order.put(linker.add(part))
    order.put(linker.finish())
    found = concatenate(list(order.tables()))
    expected = link(seen, distance_nm=20, gap=gap)
    assert 100 < len(found) < len(seen)
    assert list(found.columns) == list(expected.columns)
    for name in expected.columns:
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("together", [1, 40, 3000])
def test_a_whole_table_goes_in_parts_too_and_in_any_order(together, monkeypatch):
    seen = table()
    chance = np.random.default_rng(5)
    expected = link(seen, distance_nm=20, gap=1)
    monkeypatch.setattr(linking, "ROWS_TOGETHER", together)
    in_frames = np.lexsort((chance.random(len(seen)), seen["x_nm"], seen["frame"]))
    for rows in (np.arange(len(seen)), in_frames[::-1]):
        found = link(seen.take(rows), distance_nm=20, gap=1)
        assert len(found) == len(expected)
        assert (np.diff(found["frame"]) >= 0).all()
    again = link(seen, distance_nm=20, gap=1)
    for name in expected.columns:
        np.testing.assert_array_equal(again[name], expected[name])


def test_no_row_gives_the_columns_of_molecules():
    found = link(empty(), distance_nm=20, gap=1)
    assert len(found) == 0
    assert {"last_frame", "detections"} <= set(found.columns)


def test_a_thinned_table_takes_rows_evenly_whatever_the_parts():
    seen = table()
    for size in (7, 100, 5000):
        found = thinned(parts(seen, size), 4)
        np.testing.assert_array_equal(found["x_nm"], seen["x_nm"][::4])
