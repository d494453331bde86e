"""A run folder is checked block by block, tap by tap, event by event."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from her2sr_proc.errors import DataError, IntegrityError, StateError
from her2sr_proc.offline.accounting import account
from her2sr_proc.offline.verify import broken_links, verify
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.ledger import BlockRecord, UnitRecord, UnitState
from her2sr_proc.schema.manifest import ChannelFacts, FieldFacts, Manifest
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import counted_attempts, read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import write_manifest

FRAMES = np.random.default_rng(3).integers(90, 200, (8, 6, 5)).astype(np.uint16)
DAPI = ChannelFacts(
    name="405",
    probe="DAPI",
    laser_nm=405,
    power_percent=20,
    exposure_ms=30,
    frames=8,
    role="nuclei",
)
MANIFEST = Manifest(
    run="r1",
    created_utc="2026-01-01T00:00:00Z",
    sample="s",
    operator="o",
    protocol="p",
    plan={},
    channels=(DAPI,),
    fields=(FieldFacts(name="r00_c00", row=0, column=0, x_um=0, y_um=0),),
    frame_height=6,
    frame_width=5,
    camera=CameraModel(),
    configuration="c",
    configuration_sha256="0" * 64,
    versions={},
)


def quiet(*_):
    pass


def write_unit(run, unit, blocks=2, state=UnitState.COMPLETE, written=None):
    path = run.raw(unit)
    shape = raw.RawShape(frames=8, height=6, width=5, block_frames=4)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name="405")
    with LineWriter(run.ledger) as ledger:
        for block in range(blocks):
            size, digest = raw.write_block(path, block, FRAMES[4 * block :][:4])
            record = BlockRecord(
                key=BlockKey(**unit.model_dump(), block=block),
                first_frame=4 * block,
                frames=4,
                bytes=size,
                sha256=digest,
                t_s=(0.0,) * 4,
                published=block == 0,
            )
            ledger.append(record.model_dump_json())
        verdict = UnitRecord(
            key=unit,
            state=state,
            requested=8,
            delivered=4 * blocks,
            written=4 * blocks if written is None else written,
            published=4,
            started_utc="a",
            ended_utc="b",
        )
        ledger.append(verdict.model_dump_json())


UNIT = UnitKey(run="r1", field="r00_c00", channel="405")


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "r1")
    write_manifest(folder, MANIFEST)
    return folder


def test_a_whole_run_is_sound_and_so_is_its_copy_under_another_name(run, tmp_path):
    write_unit(run, UNIT)
    copy = RunFolder(tmp_path / "elsewhere")
    shutil.copytree(run.root, copy.root)
    for folder in (run, copy):
        verdict = verify(folder, quiet)
        assert verdict.is_sound
        assert verdict.blocks == 2
        assert verdict.accounting.requested == verdict.accounting.written == 8


def test_published_frames_are_counted_block_by_block(run):
    write_unit(run, UNIT)
    assert account(run, MANIFEST).published == 4


def test_a_changed_chunk_is_damage(run):
    write_unit(run, UNIT)
    chunk = raw.chunk_path(run.raw(UNIT), 1)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert verify(run, quiet).damage == (
        "block 1 of r00_c00/405 does not match its checksum",
    )


def test_a_removed_unit_is_damage_not_a_traceback(run):
    write_unit(run, UNIT)
    shutil.rmtree(run.raw(UNIT))
    assert len(verify(run, quiet).damage) == 2


def test_a_partial_unit_is_a_gap_not_damage(run):
    write_unit(run, UNIT, blocks=1, state=UnitState.PARTIAL)
    verdict = verify(run, quiet)
    assert verdict.damage == ()
    assert verdict.gaps == (
        "r00_c00/405: 8 frames requested, 4 delivered, 4 written (partial)",
    )


def test_a_unit_never_begun_is_a_gap(run):
    assert "0 written (planned: never begun)" in verify(run, quiet).gaps[0]


def test_a_record_that_miscounts_its_blocks_is_damage(run):
    write_unit(run, UNIT, written=4)
    assert "4 frames written, its blocks hold 8" in verify(run, quiet).damage[0]


def test_a_channel_that_the_manifest_does_not_name_is_a_plain_error(run):
    write_unit(run, UNIT.model_copy(update={"channel": "999"}))
    with pytest.raises(DataError, match=r"no channel 999 in its manifest\.json"):
        verify(run, quiet)


def test_no_run_folder_is_a_plain_error(tmp_path):
    with pytest.raises(StateError, match="not a run folder"):
        verify(RunFolder(tmp_path), quiet)


def test_a_torn_table_is_a_plain_error(run):
    write_unit(run, UNIT)
    run.table(UNIT).parent.mkdir(parents=True)
    run.table(UNIT).write_bytes(b"PAR1 torn")
    with pytest.raises(IntegrityError, match="not a whole localization table"):
        account(run, MANIFEST)


def test_the_attempt_with_most_frames_answers_and_the_later_of_equals(run):
    for attempt, blocks in ((1, 1), (2, 2), (3, 2)):
        key = UnitKey(**UNIT.model_dump(exclude={"attempt"}), attempt=attempt)
        write_unit(run, key, blocks=blocks)
    chosen = counted_attempts(MANIFEST, read_ledger(run.ledger), "r00_c00")
    assert chosen["405"].attempt == 3


def chain(*events):
    lines, previous = [], ""
    for event in events:
        lines.append(json.dumps({"event": event, "previous": previous}))
        previous = hashlib.sha256(lines[-1].encode()).hexdigest()
    return lines


def test_an_unbroken_chain_has_no_fault():
    assert broken_links(chain("start", "stop", "sign")) == []


def test_a_changed_event_breaks_the_chain():
    lines = chain("start", "stop", "sign")
    lines[1] = lines[1].replace("stop", "step")
    assert "line 3 does not follow" in broken_links(lines)[0]


def test_a_removed_event_breaks_the_chain():
    lines = chain("start", "stop", "sign")
    assert len(broken_links(lines[1:])) == 1
    assert len(broken_links([lines[0], lines[2]])) == 1


def test_a_line_that_is_no_event_is_named():
    assert broken_links(["nonsense"]) == ["events.jsonl line 1 is not an event"]
