"""Which fields are chosen, by the rules alone."""

import pytest

from her2sr_acq.engine import choice
from her2sr_acq.errors import SelectionError
from her2sr_acq.plan.models import Grid
from her2sr_acq.plan.outline import Box, read_outlines
from her2sr_acq.plan.tiling import tiles
from her2sr_proc.schema.selection import Overview, TileScore

SIZE = (10.0, 10.0)


def grid(side: int):
    plan = Grid(rows=side, columns=side, centre=(0.0, 0.0))
    return tiles(plan, centre_um=(0.0, 0.0), size_um=SIZE)


def looked_at(scores: dict[str, float], places, *, by: str = "nuclear area"):
    """A tile without a score holds no tissue."""
    return Overview(
        run="r",
        utc="2026-01-01T00:00:00Z",
        scored_by=by,
        tiles=tuple(
            TileScore(
                field=tile.name,
                seen=by != "nothing",
                score=scores.get(tile.name, 0.0),
                holds_tissue=tile.name in scores or by == "nothing",
                why="" if tile.name in scores else "no nucleus",
            )
            for tile in places
        ),
    )


def even(places) -> dict[str, float]:
    return {tile.name: 0.2 for tile in places}


def draw(overview, places, **more):
    return choice.drawn(
        overview, places, SIZE, **({"fields": 4, "areas": 2, "seed": 1} | more)
    )


def test_tiles_that_share_an_edge_are_one_area_and_corners_do_not_join():
    four = {tile.name: tile for tile in grid(2)}
    assert choice.areas_of(list(four.values()), SIZE) == 1
    assert choice.areas_of([four["r00_c00"], four["r01_c01"]], SIZE) == 2
    assert choice.areas_of([], SIZE) == 0


def test_a_draw_is_the_same_for_a_seed_and_another_for_another():
    places = grid(6)
    overview = looked_at(even(places), places)
    first = draw(overview, places)
    assert draw(overview, places) == first
    others = {draw(overview, places, seed=seed).chosen for seed in range(2, 8)}
    assert len(others - {first.chosen}) >= 5


def test_a_draw_is_not_in_the_order_of_the_grid():
    places = grid(6)
    overview = looked_at(even(places), places)
    names = [tile.name for tile in places]
    orders = [draw(overview, places, seed=s).chosen for s in range(6)]
    assert any(list(o) != sorted(o, key=names.index) for o in orders)


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_lies_in_as_many_areas_as_asked(seed):
    places = {tile.name: tile for tile in grid(5)}
    overview = looked_at(even(places.values()), places.values())
    chosen = draw(overview, tuple(places.values()), areas=3, seed=seed).chosen
    assert choice.areas_of([places[n] for n in chosen], SIZE) >= 3
    assert len(chosen) == 4


def test_only_tiles_as_good_as_the_best_are_drawn():
    places = grid(6)
    scores = {t.name: 0.30 if t.column in (0, 5) else 0.26 for t in places}
    chosen = draw(looked_at(scores, places), places).chosen
    assert {scores[name] for name in chosen} == {0.30}


def test_what_is_drawn_holds_nine_tenths_of_the_best_score():
    places = grid(6)
    scores = {t.name: 0.01 * (n + 1) for n, t in enumerate(places)}
    chosen = draw(looked_at(scores, places), places, fields=6).chosen
    best = sum(sorted(scores.values())[-len(chosen) :])
    assert sum(scores[name] for name in chosen) >= 0.9 * best


def test_fewer_are_drawn_where_so_many_do_not_lie_apart():
    places = grid(2)
    chosen = draw(looked_at(even(places), places), places)
    assert len(chosen.chosen) == 2
    assert "2 fields drawn" in chosen.rule


def test_the_two_best_side_by_side_do_not_end_a_run():
    places = grid(4)
    scores = even(places) | {"r00_c00": 0.9, "r00_c01": 0.9}
    chosen = draw(looked_at(scores, places), places, fields=2).chosen
    assert choice.areas_of([t for t in places if t.name in chosen], SIZE) == 2


def test_tissue_in_one_area_is_no_answer_to_two():
    places = grid(4)
    scores = {"r00_c00": 0.2}
    with pytest.raises(SelectionError, match="1 of 16 tiles hold tissue"):
        draw(looked_at(scores, places), places)


def test_without_an_overview_any_tile_may_be_drawn():
    places = grid(4)
    found = draw(looked_at({}, places, by="nothing"), places)
    assert len(found.chosen) == 4
    assert "nobody looked at" in found.rule


def test_a_glass_without_tissue_is_said_so_with_the_cure():
    places = grid(2)
    with pytest.raises(SelectionError, match="none of 4 tiles holds tissue; move"):
        choice.everything(looked_at({}, places))


def test_every_tile_with_tissue_is_taken_in_the_order_of_the_grid():
    places = grid(2)
    scores = even(places)
    del scores["r00_c01"]
    found = choice.everything(looked_at(scores, places))
    assert found.chosen == ("r00_c00", "r01_c01", "r01_c00")
    assert found.skipped == {"r00_c01": "no nucleus"}


# --- regions

SQUARE = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
HOLE = [[2, 2], [8, 2], [8, 8], [2, 8], [2, 2]]


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


@pytest.mark.parametrize(
    ("box", "um2"),
    [
        (Box(-5, -5, 5, 5), 25 - 9),
        (Box(3, 3, 7, 7), 0),
        (Box(-100, -100, 100, 100), 100 - 36),
        (Box(10, 0, 20, 10), 0),
    ],
)
def test_the_covered_area_is_that_of_the_ring_without_its_hole(box, um2):
    (outline,) = read_outlines(polygon(SQUARE, HOLE))
    assert outline.covered_um2(box) == pytest.approx(um2)


def test_a_concave_area_covers_what_lies_in_its_arms_alone():
    ring = [[0, 0], [30, 0], [30, 30], [20, 30], [20, 10], [10, 10], [10, 30], [0, 30]]
    (outline,) = read_outlines(polygon(ring))
    assert outline.covered_um2(Box(11, 15, 19, 25)) == pytest.approx(0.0)
    assert outline.covered_um2(Box(5, 15, 25, 25)) == pytest.approx(100.0)


BROKEN = [
    pytest.param({"features": []}, "no feature", id="none"),
    pytest.param({"type": "Point", "coordinates": [1, 2]}, "is a Point", id="point"),
    pytest.param(polygon([[0, 0], [1, 1]]), "encloses nothing", id="line"),
    pytest.param(polygon([[0, 0], [1, "x"], [2, 0]]), "not x and y", id="text"),
    pytest.param(polygon([[0, 0], [1, float("nan")], [2, 0]]), "not x", id="nan"),
    pytest.param(polygon(), "without points", id="empty"),
    pytest.param({"features": [3]}, "no feature", id="number"),
]


@pytest.mark.parametrize(("geojson", "message"), BROKEN)
def test_what_is_no_area_is_refused_with_a_sentence(geojson, message):
    with pytest.raises(ValueError, match=message):
        read_outlines(geojson)
