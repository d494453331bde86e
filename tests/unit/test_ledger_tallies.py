"""What is counted line by line is what the whole ledger says, in a fraction of it."""

import tracemalloc

import pytest

from her2sr_proc.errors import IntegrityError
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.ledger import BlockRecord, UnitRecord, UnitState
from her2sr_proc.store.ledger import read_ledger, read_tallies

FRAMES = 100


def block(unit, number, *, published=True, frames=FRAMES, sha="0"):
    return BlockRecord(
        key=BlockKey(**unit.model_dump(), block=number),
        first_frame=number * FRAMES,
        frames=frames,
        bytes=1,
        sha256=sha * 64,
        t_s=tuple(0.03 * n for n in range(frames)),
        published=published,
    )


def unit(field, channel="561"):
    return UnitKey(run="r1", field=field, channel=channel)


def verdict(key, written):
    return UnitRecord(
        key=key,
        state=UnitState.COMPLETE,
        requested=written,
        delivered=written,
        written=written,
        published=written,
        started_utc="a",
        ended_utc="b",
    )


@pytest.fixture
def ledger(tmp_path):
    one, two = unit("r00_c00"), unit("r00_c01")
    lines = [block(one, n, published=n % 3 > 0) for n in range(30)]
    lines += [verdict(one, 3000), block(two, 0), block(one, 4, sha="1", frames=50)]
    path = tmp_path / "ledger.jsonl"
    path.write_text("".join(line.model_dump_json() + "\n" for line in lines))
    return path


def test_tallies_are_those_of_the_histories(ledger):
    histories, tallies = read_ledger(ledger), read_tallies(ledger)
    assert list(tallies) == list(histories)
    for key, history in histories.items():
        tally = tallies[key]
        assert (tally.frames, tally.blocks) == (history.frames, len(history.blocks))
        taken = [b.frames for b in history.blocks.values() if b.published]
        assert tally.published == sum(taken)
        assert (tally.verdict, tally.discarded) == (history.verdict, history.discarded)
    assert tallies[unit("r00_c00")].frames == 2950  # the last word on a block counts


def test_without_times_a_block_says_all_else(ledger):
    field = {"field": "r00_c00"}
    (whole,), (bare,) = (
        read_ledger(ledger, **field, times=times).values() for times in (True, False)
    )
    assert [b.model_copy(update={"t_s": ()}) for b in whole.records()] == bare.records()


def test_a_line_that_is_none_is_named(ledger):
    with ledger.open("a") as file:
        file.write("{}\n")
    with pytest.raises(IntegrityError, match="line 34 is not a ledger line"):
        read_tallies(ledger)


def test_memory_does_not_follow_the_lines(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(
        "".join(block(unit("r00_c00"), n).model_dump_json() + "\n" for n in range(400))
    )
    read_tallies(path)
    tracemalloc.start()
    assert read_tallies(path)[unit("r00_c00")].frames == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000 * 4  # bytes a frame; the lines alone have 8
