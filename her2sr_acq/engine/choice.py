"""The rules by which fields are chosen from the tiles of an overview. Pure.

No rule knows a signal: a field is chosen by its nuclei, never by what is counted in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from her2sr_acq.errors import SelectionError
from her2sr_acq.plan.select import SelectPlan
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.selection import Overview, TileScore

GOOD_SHARES = ((0.95, 0.9, 0.8), (0.0,))
"""Of the mean score of the best: a tile with this much is as good as any. The smaller
ones are for the sake of areas apart; the last only where no fewer fields will do."""
DRAWS = 200
"""Of as many fields, before fewer are drawn for the sake of areas apart."""
TOUCH = 1.05
"""Tiles whose centres are nearer than this many sides share an edge."""
ASKEW = 0.95

Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is taken, in order, and why nothing else is."""

    chosen: tuple[str, ...]
    skipped: dict[str, str]
    rule: str


def everything(overview: Overview) -> Choice:
    """Choose every tile that holds tissue. Raises `SelectionError` without one."""
    kept = tuple(tile.field for tile in overview.tiles if tile.holds_tissue)
    if not kept:
        raise SelectionError(_nothing(overview))
    return Choice(kept, _empty(overview), "every tile that holds tissue")


def named(
    overview: Overview, fields: Sequence[str], *, rule: str, why_not: str
) -> Choice:
    """Choose what somebody named, or a region covers."""
    skipped = {
        tile.field: _why(tile) or why_not
        for tile in overview.tiles
        if tile.field not in fields
    }
    return Choice(tuple(fields), skipped, rule)


def of_regions(overview: Overview, inside: Sequence[str]) -> Choice:
    """Choose the tiles inside the regions that hold tissue, in their order.

    Raises `SelectionError` when none of them holds tissue.
    """
    kept = [f for f in inside if overview.tile(f).holds_tissue]
    if not kept:
        raise SelectionError(
            f"{len(inside)} tiles lie in the regions and none of them holds tissue; "
            f"check regions and focus"
        )
    rule = "tiles that a region overlaps and that hold tissue"
    return named(overview, kept, rule=rule, why_not="outside the regions")


def drawn(
    overview: Overview,
    tiles: Sequence[FieldFacts],
    size_um: Size,
    *,
    fields: int,
    areas: int,
    seed: int,
) -> Choice:
    """Draw fields at random from those that are as good as the best.

    They lie in at least ``areas`` areas apart; where so many fields do not, fewer are
    drawn. ``size_um``: height and width of a tile. Raises `SelectionError` when not
    even one field in each area can be had.
    """
    places = {tile.name: tile for tile in tiles}
    ranked = _ranked(overview)
    if not ranked:
        raise SelectionError(_nothing(overview))
    generator = random.Random(seed)
    for count, share in _attempts(min(fields, len(ranked)), areas):
        pool = _good(ranked, count, share)
        for _ in range(DRAWS):
            chosen = generator.sample(pool, count)
            if areas_of([places[name] for name in chosen], size_um) >= areas:
                return named(
                    overview,
                    chosen,
                    rule=_rule(overview, (count, share, len(pool)), areas, seed),
                    why_not="not drawn",
                )
    raise SelectionError(
        f"{len(ranked)} of {len(tiles)} tiles hold tissue, and do not lie in {areas} "
        f"areas apart; take a larger grid, or set select.areas lower"
    )


def suggested(
    overview: Overview,
    tiles: Sequence[FieldFacts],
    size_um: Size,
    plan: SelectPlan,
) -> Choice:
    """Return what a rule would take where a person chooses.

    Nothing, with the reason as its rule, where the rule finds too little.
    """
    try:
        return drawn(
            overview,
            tiles,
            size_um,
            fields=plan.fields,
            areas=plan.areas,
            seed=plan.seed,
        )
    except SelectionError as exc:
        return Choice((), {}, str(exc))


def areas_of(tiles: Sequence[FieldFacts], size_um: Size) -> int:
    """Return in how many areas apart tiles lie; those that share an edge are one."""
    left = list(tiles)
    count = 0
    while left:
        count += 1
        front = [left.pop()]
        while front:
            here = front.pop()
            joined = [tile for tile in left if _touch(here, tile, size_um)]
            left = [tile for tile in left if tile not in joined]
            front += joined
    return count


def _touch(one: FieldFacts, other: FieldFacts, size_um: Size) -> bool:
    away = sorted(
        (
            abs(one.x_um - other.x_um) / size_um[1],
            abs(one.y_um - other.y_um) / size_um[0],
        )
    )
    return away[0] < ASKEW and away[1] < TOUCH


def _ranked(overview: Overview) -> list[TileScore]:
    kept = [tile for tile in overview.tiles if tile.holds_tissue and tile.seen]
    if overview.scored_by == "nothing":
        kept = list(overview.tiles)
    return sorted(kept, key=lambda tile: -tile.score)


def _attempts(fields: int, areas: int) -> Iterator[tuple[int, float]]:
    """Yield how many to draw, and from how good ones, the most wanted first."""
    for shares in GOOD_SHARES:
        for count in range(fields, areas - 1, -1):
            for share in shares:
                yield count, share


def _good(ranked: Sequence[TileScore], count: int, share: float) -> list[str]:
    """Return those to draw ``count`` from: as good as the best, or else the best."""
    least = share * sum(tile.score for tile in ranked[:count]) / count
    good = [tile.field for tile in ranked if tile.score >= least]
    return good if len(good) >= count else [t.field for t in ranked[:count]]


def _rule(
    overview: Overview, drawn_from: tuple[int, float, int], areas: int, seed: int
) -> str:
    count, share, pool = drawn_from
    if overview.scored_by == "nothing":
        among = f"of {pool} tiles that nobody looked at"
    else:
        among = (
            f"of {pool} tiles with at least {share:g} of the {overview.scored_by} "
            f"of the best {count}"
        )
    return (
        f"{count} fields drawn at random with seed {seed} {among}, in at least {areas} "
        f"areas apart"
    )


def _empty(overview: Overview) -> dict[str, str]:
    return {t.field: _why(t) for t in overview.tiles if not t.holds_tissue}


def _why(tile: TileScore) -> str:
    return "" if tile.holds_tissue else tile.why or "no tissue in the overview"


def _nothing(overview: Overview) -> str:
    return (
        f"none of {len(overview.tiles)} tiles holds tissue; move the grid, check focus "
        f"and light of the overview, or take the fields without 'select'"
    )
