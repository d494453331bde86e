"""Pictures at many scales: every level is drawn right, and nothing twice or not."""

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scattered import drawing_of, scattered, table, whole

from her2sr_proc.errors import RequestError
from her2sr_proc.pyramid.drawing import Drawing
from her2sr_proc.pyramid.frames import Ground, frame_of
from her2sr_proc.pyramid.making import make, white_per_um2
from her2sr_proc.pyramid.points import Columns, Points
from her2sr_proc.pyramid.shelf import Frame, Shelf
from her2sr_proc.rendering import render
from her2sr_proc.schema.levels import WIDEST_PX, Levels, Tile, Tiling
from her2sr_proc.schema.params import RenderParams

SIZE = {"height_px": 24, "width_px": 40}
METHODS = ["gaussian", "histogram", "ash"]


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 300), st.integers(0, 2)
)
def test_levels_halve_exactly_down_to_one_tile(height, width, side, overlap):
    tiling = Tiling(2 * side, overlap)
    levels = Levels.covering(height * 26.0, width * 26.0, pixel_nm=26.0, tiling=tiling)
    shapes = [levels.shape_at(n) for n in levels]
    assert shapes[0] >= (height, width)
    for (h, w), (half_h, half_w) in itertools.pairwise(shapes):
        assert (h, w) == (2 * half_h, 2 * half_w)
    assert levels.grid_at(levels.count - 1) == (1, 1)
    if levels.count > 1:
        assert levels.grid_at(levels.count - 2) != (1, 1)


@pytest.mark.parametrize("overlap", [0, 1])
def test_tiles_show_every_pixel_once_and_their_neighbours_edges(overlap):
    levels = Levels.covering(3000, 2000, pixel_nm=10, tiling=Tiling(64, overlap))
    for level in levels:
        own, shown = (np.zeros(levels.shape_at(level), int) for _ in range(2))
        rows, columns = levels.grid_at(level)
        for row, column in np.ndindex(rows, columns):
            tile = Tile(level, row, column)
            for box, image in ((levels.core(tile), own), (levels.box(tile), shown)):
                image[box.top : box.bottom, box.left : box.right] += 1
        np.testing.assert_array_equal(own, 1)
        assert (shown.max() > 1) == (overlap > 0 and rows * columns > 1)


def test_a_picture_too_wide_for_viewers_is_refused():
    with pytest.raises(RequestError, match="choose a larger --pixel-nm"):
        Levels.covering(1, WIDEST_PX + 1, pixel_nm=1, tiling=Tiling(512, 0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tiling", [Tiling(64, 1), Tiling(32, 0)], ids=["dzi", "ngff"])
def test_a_level_is_what_render_draws_at_its_pixel_size(method, tiling):
    rows = scattered(1, 400, **SIZE)
    drawing = drawing_of(rows, **SIZE, tiling=tiling, pixel_nm=13.0, method=method)
    for level in drawing.levels:
        params = RenderParams(pixel_nm=drawing.levels.pixel_nm_at(level), method=method)
        expected = render(rows, **SIZE, pixel_nm=130.0, params=params)
        found = whole(drawing, level)[: expected.shape[0], : expected.shape[1]]
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(("method", "lost"), [("gaussian", 2e-4), ("histogram", 0)])
def test_a_level_is_the_sum_of_the_finer_ones_pixels(method, lost):
    rows = scattered(2, 300, **SIZE)
    drawing = drawing_of(rows, **SIZE, pixel_nm=10.0, method=method)
    finest = whole(drawing, 0)
    for level in drawing.levels:
        height, width = drawing.levels.shape_at(level)
        side = 1 << level
        sums = finest.reshape(height, side, width, side).sum(axis=(1, 3))
        # beyond four sigma the finer level draws nothing; the coarser sees a little
        np.testing.assert_allclose(whole(drawing, level), sums, atol=lost + 1e-5)


@pytest.mark.parametrize(
    ("x_nm", "y_nm"), [(100.0, 100.0), (2613.7, 1001.3), (4321.0, 6543.2)]
)
def test_a_localization_stands_at_the_same_place_on_every_level(x_nm, y_nm):
    """Its Gaussian's centroid, in nanometres from the centre of the camera's first
    pixel, though the pixels of the levels have their centres elsewhere."""
    size = {"height_px": 60, "width_px": 100}
    rows = table([x_nm], [y_nm], 40.0)
    drawing = drawing_of(rows, **size, pixel_nm=5.0, tiling=Tiling(510, 1))
    assert drawing.levels.count == 4
    for level in drawing.levels:
        image = whole(drawing, level).astype(np.float64)
        pixel_nm = drawing.levels.pixel_nm_at(level)
        for axis, place in ((0, y_nm), (1, x_nm)):
            shares = image.sum(axis=1 - axis)
            corner_nm = (np.arange(shares.size) + 0.5) @ shares / shares.sum()
            found = corner_nm * pixel_nm - 65.0
            assert found == pytest.approx(place, abs=0.05)


@pytest.mark.parametrize("level", range(4))
def test_counts_stand_in_the_pixel_that_covers_their_place(level):
    rng = np.random.default_rng(level)
    x, y = rng.uniform(-65, 5000, (2, 50)).astype(np.float32)
    drawing = drawing_of(
        table(x, y), height_px=48, width_px=48, pixel_nm=20.0, method="histogram"
    )
    image = whole(drawing, level)
    pixel_nm = 20.0 * 2**level
    expected = np.zeros_like(image)
    where = [((p.astype(float) + 65) // pixel_nm).astype(int) for p in (y, x)]
    np.add.at(expected, tuple(where), 1)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("method", METHODS)
def test_light_that_reaches_over_many_tiles_is_drawn_in_all_of_them(method):
    rows = table([2600.0], [1500.0], 50.0)
    options = {"pixel_nm": 2.0, "fixed_sigma_nm": 300.0, "method": method}
    drawing = drawing_of(rows, **SIZE, **options)
    for level in drawing.levels:
        assert whole(drawing, level).sum() == pytest.approx(1.0, rel=1e-3)


def test_where_nothing_stands_nothing_is_drawn():
    rows = table([100.0, 30_000.0], [100.0, 30_000.0])
    drawing = drawing_of(rows, height_px=512, width_px=512, pixel_nm=10.0)
    grid = drawing.levels.grid_at(0)
    assert grid == (104, 104)
    assert len(drawing.tiles(0)) <= 18
    lit = [tile for tile in drawing.tiles(0) if drawing.draw(tile) is not None]
    assert 2 <= len(lit) <= 8
    assert drawing_of(table([], []), **SIZE).tiles(0) == []


def test_tiles_stand_near_each_other_in_their_order():
    rows = scattered(3, 3000, height_px=128, width_px=128)
    tiles = drawing_of(rows, height_px=128, width_px=128, pixel_nm=20.0).tiles(0)
    assert len(tiles) == len(set(tiles)) == 13 * 13
    steps = np.abs(np.diff([(t.row, t.column) for t in tiles], axis=0)).sum(axis=1)
    assert np.median(steps) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_block_of_cells_gives_its_localizations_and_no_others(seed):
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, 1000, (2, 500)).astype(np.float32)
    rows = Columns(*places, np.ones(500, np.float32))
    points = Points.sorted_by_cell(rows, left_nm=230.0, top_nm=1e6, cell_nm=90.0)
    found = list(points.within(range(11113, 11118), range(5, 9)))
    x, y = (np.concatenate([getattr(f, n) for f in found]) for n in ("x_nm", "y_nm"))
    inside = (places[0] + 230.0 >= 450) & (places[0] + 230.0 < 810)
    inside &= places[1].astype(float) + 1e6 >= 11113 * 90
    inside &= places[1].astype(float) + 1e6 < 11118 * 90
    assert sorted(x) == pytest.approx(sorted(places[0][inside] + 230.0))
    assert sorted(y) == pytest.approx(sorted(places[1][inside] + 1e6))


def shelved(capacity_rows):
    """Three frames side by side, and how often each was loaded."""
    loads = [0, 0, 0]

    def load(n):
        loads[n] += 1
        rows = Columns(*np.full((3, 10), 50, np.float32))
        return Points.sorted_by_cell(rows, left_nm=100 * n, top_nm=0, cell_nm=100)

    frames = [Frame(0, 100 * n, 100, 100, lambda n=n: load(n)) for n in range(3)]
    return Shelf(frames, capacity_rows=capacity_rows), loads


def test_frames_beyond_the_capacity_are_loaded_again():
    shelf, loads = shelved(capacity_rows=20)
    assert (shelf.rows, shelf.widest_nm, list(shelf.cells)) == (30, 50, [0, 1, 2])
    for n in (1, 2, 1, 2, 0, 1):
        assert shelf.take(n).left_nm == 100 * n
    assert loads == [2, 2, 1]


def test_only_frames_that_share_ground_are_asked():
    shelf, _ = shelved(capacity_rows=100)
    assert shelf.touching(0, 0, 10, 100) == [0]
    assert shelf.touching(-5, 99, 1, 201) == [0, 1, 2]
    assert shelf.touching(100, 0, 200, 300) == []


def overlapping(seed, *, apart_px):
    """Four frames of 20 pixels that saw the same localizations, as one drawing."""
    sample = scattered(seed, 500, height_px=20 + apart_px, width_px=20 + apart_px)
    grounds = [
        Ground(20, 20, 130.0, top_nm=130.0 * row, left_nm=130.0 * column)
        for row in (0, apart_px)
        for column in (0, apart_px)
    ]
    params = RenderParams(pixel_nm=26.0)
    side_nm = (20 + apart_px) * 130.0
    levels = Levels.covering(side_nm, side_nm, pixel_nm=26.0, tiling=Tiling(64, 1))

    def seen(ground):
        return table(
            sample["x_nm"] - np.float32(ground.left_nm),
            sample["y_nm"] - np.float32(ground.top_nm),
            sample["uncertainty_nm"],
        )

    frames = [
        frame_of(
            g, lambda g=g: [seen(g)], params=params, cell_nm=64 * 26.0, others=grounds
        )
        for g in grounds
    ]
    return sample, Drawing(levels, Shelf(frames), params), params


@pytest.mark.parametrize("apart_px", [20, 17, 10, 3])
def test_what_several_frames_saw_is_drawn_once(apart_px):
    sample, drawing, params = overlapping(apart_px, apart_px=apart_px)
    side = 20 + apart_px
    expected = render(
        sample, height_px=side, width_px=side, pixel_nm=130.0, params=params
    )
    found = whole(drawing, 0)[: len(expected), : len(expected)]
    np.testing.assert_allclose(found, expected, atol=1e-3)


class Kept:
    """Keeps the tiles that it is given."""

    def __init__(self):
        self.tiles = {}
        self.threads = set()

    def put(self, tile, density):
        self.tiles[tile] = density
        self.threads.add(threading.get_ident())


def made(drawing, jobs):
    kept, told = Kept(), []
    count = make(drawing, kept, jobs=jobs, progress=lambda *pair: told.append(pair))
    assert count == len(kept.tiles)
    assert told[-1][0] == told[-1][1]
    return kept


def test_threads_do_not_change_a_tile():
    rows = scattered(4, 2000, height_px=128, width_px=128)
    drawing = drawing_of(rows, height_px=128, width_px=128, pixel_nm=20.0)
    one, three = made(drawing, 1), made(drawing, 3)
    assert (len(one.threads), len(three.threads)) == (1, 3)
    assert one.tiles.keys() == three.tiles.keys()
    for tile, density in one.tiles.items():
        np.testing.assert_array_equal(density, three.tiles[tile])


def test_white_is_fitted_to_the_light_and_not_to_the_dark_around():
    x = np.random.default_rng(5).normal(3000, 20, 400)
    bright = white_per_um2(drawing_of(table(x, x), height_px=512, width_px=512))
    faint = white_per_um2(drawing_of(table(x[:4], x[:4]), height_px=512, width_px=512))
    near = white_per_um2(drawing_of(table(x, x), height_px=50, width_px=50))
    assert bright == near
    assert bright > 20 * faint
    assert white_per_um2(drawing_of(table([], []), **SIZE)) == 1.0
