"""A picture never shows another table than the one that stands."""

import json
import shutil

import numpy as np
import pytest
from run_folders import add_unit, make_run

from her2sr_proc.offline import units
from her2sr_proc.offline.units import close_unit, is_closed
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder

SIDE, FRAMES = 64, 40
UNIT = UnitKey(run="r1", field="r00_c00", channel="561")
KINDS = (
    "superresolution",
    "conventional",
    "fluctuation_fine",
    "fluctuation_coarse",
)


class PowerCutError(Exception):
    """The process died here."""


def movie():
    generator = np.random.default_rng(5)
    y, x = np.mgrid[:SIDE, :SIDE]
    light = np.full((FRAMES, SIDE, SIDE), 20.0)
    for row, column in ((20, 20), (40, 33)):
        spot = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 2.0)
        light += generator.poisson(4, FRAMES)[:, None, None] * 300.0 * spot
    return (generator.poisson(light) / 0.46 + 100).astype(np.uint16)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    run = make_run(
        tmp_path_factory.mktemp("closed") / "r1", frames={"561": FRAMES}, size=SIDE
    )
    add_unit(run, "561", movie())
    close_unit(run, UNIT)
    return run


@pytest.fixture
def run(closed, tmp_path):
    shutil.copytree(closed.root, tmp_path / "r1")
    return RunFolder(tmp_path / "r1")


@pytest.fixture
def dying(monkeypatch):
    """Every process dies as soon as a table stands, before its pictures are made."""

    def die(*_args, **_kwargs):
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(units, "ensure_images", die)
        yield patch


def by_another_profile(run, *, conventional_frames=32):
    """Let the manifest ask for other parameters: the table has to be made anew."""
    manifest = json.loads(run.manifest.read_text())
    manifest["profile"]["count"]["conventional_frames"] = conventional_frames
    run.manifest.write_text(json.dumps(manifest))


def image(run, kind):
    return run.image(UNIT.field, UNIT.channel, kind)


def standing(run):
    return {kind for kind in KINDS if image(run, kind).exists()}


def test_who_dies_between_table_and_pictures_leaves_no_older_pictures(run, dying):
    by_another_profile(run)
    with pytest.raises(PowerCutError):
        close_unit(run, UNIT)
    assert standing(run) == set()
    assert not list(run.preview(UNIT.field, UNIT.channel, "x").parent.glob("*.png"))
    assert not is_closed(run, UNIT)


def test_the_next_who_closes_the_unit_makes_the_pictures_of_its_table(run, dying):
    before = image(run, "superresolution").stat().st_ino
    by_another_profile(run)
    with pytest.raises(PowerCutError):
        close_unit(run, UNIT)
    dying.undo()
    close_unit(run, UNIT)
    assert standing(run) == set(KINDS)
    assert image(run, "superresolution").stat().st_ino != before
    assert is_closed(run, UNIT)


def test_who_dies_before_the_table_leaves_the_older_one_without_pictures(
    run, monkeypatch
):
    write = units.write_parquet

    def die_at_the_table(path, *rest):
        if path == run.table(UNIT):
            raise PowerCutError
        write(path, *rest)

    monkeypatch.setattr(units, "write_parquet", die_at_the_table)
    before = run.table(UNIT).read_bytes()
    by_another_profile(run)
    with pytest.raises(PowerCutError):
        close_unit(run, UNIT)
    assert run.table(UNIT).read_bytes() == before
    assert standing(run) == set()


def test_pictures_of_frames_that_cannot_be_read_any_more_stay(run, dying):
    for block in range(FRAMES // 10):
        raw.chunk_path(run.raw(UNIT), block).unlink()
    by_another_profile(run)
    with pytest.raises(PowerCutError):
        close_unit(run, UNIT)
    assert standing(run) == set(KINDS) - {"superresolution"}


def test_pictures_stay_where_the_first_frames_alone_are_lost(run, dying):
    for block in range(FRAMES // 10 - 1):
        raw.chunk_path(run.raw(UNIT), block).unlink()
    by_another_profile(run, conventional_frames=20)
    with pytest.raises(PowerCutError):
        close_unit(run, UNIT)
    assert standing(run) == {"conventional"}


def test_a_table_that_stands_keeps_its_pictures(run):
    inodes = {kind: image(run, kind).stat().st_ino for kind in KINDS}
    close_unit(run, UNIT)
    assert {kind: image(run, kind).stat().st_ino for kind in KINDS} == inodes


def test_an_attempt_that_does_not_answer_for_its_field_touches_no_picture(run):
    again = UNIT.model_copy(update={"attempt": 2})
    shutil.copytree(run.raw(UNIT), run.raw(again, "ome-zarr"))
    lines = [json.loads(line) for line in run.ledger.read_text().splitlines()]
    for line in lines:
        line["key"]["attempt"] = 2
    with run.ledger.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    inodes = {kind: image(run, kind).stat().st_ino for kind in KINDS}
    close_unit(run, again)
    assert run.table(again).exists()
    assert {kind: image(run, kind).stat().st_ino for kind in KINDS} == inodes
