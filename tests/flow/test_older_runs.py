"""Run folders of earlier programs are read, verified, processed and offered again."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from her2sr_acq.cli import build, main
from her2sr_proc.errors import DataError
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import read_field, read_result

OLDER = sorted((Path(__file__).parents[1] / "data").glob("run-of-*.zip"))
FIRST = OLDER[:1]
"""Of movies that were made to have three and one signal, before runs had events."""


def quiet(*_):
    pass


def unpacked(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    (run,) = folder.iterdir()
    return RunFolder(run)


@pytest.fixture(params=FIRST, ids=lambda path: path.stem)
def older(request, tmp_path):
    return unpacked(request.param, tmp_path / "runs")


@pytest.fixture(params=OLDER, ids=lambda path: path.stem)
def any_of_them(request, tmp_path):
    return unpacked(request.param, tmp_path / "runs")


def test_there_are_runs_of_earlier_programs():
    assert [path.stem for path in OLDER] == [
        "run-of-2026-11-24",
        "run-of-2026-11-28-before-choice",
        "run-of-2026-11-28",
    ]


def test_its_answer_and_its_fields_are_read_as_they_stand(older):
    result = read_result(older)
    assert result.arms["sr"].her2_signals == 3
    assert result.arms["sr"].group == 2
    assert len(read_field(older, "r00_c00").nuclei) == 1


def test_it_verifies(any_of_them):
    verdict = verify(any_of_them, quiet)
    assert verdict.is_sound, (verdict.damage, verdict.gaps)


def verbs(run, share):
    """Return every verb on run folders, in an order in which each may follow."""
    yield "verify", str(run.root)
    yield "process", str(run.root)
    yield "report", str(run.root)
    counted = ("score", str(run.counts), "--marks", "all", "--by", "observer-1")
    yield *counted, "--record", str(run.root.parent.parent / "case.jsonl"), "--accept"
    yield "offload", str(run.root), str(share), "--tiff"
    yield "recompress", str(run.root)
    yield "verify", str(run.root)
    yield "offload", str(run.root), str(share), "--remove-raw"
    yield "verify", str(run.root)
    yield "report", str(share / run.root.name)


def test_every_verb_takes_it(any_of_them, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    for words in verbs(any_of_them, share):
        done = CliRunner().invoke(build(), words)
        assert done.exit_code == 0, (words, done.output)
    assert len(list((share / any_of_them.name / "tiff").iterdir())) == 3
    assert (any_of_them.exports / "counts.parquet").exists()
    assert verify(RunFolder(share / any_of_them.name), quiet).damage == ()


def test_processed_again_it_is_answered_by_the_rules_of_today(older):
    before = read_result(older).profile_digest
    result = process_run(older, quiet)
    assert result.arms["sr"].her2_signals == 3
    assert result.arms["sr"].cep17_signals == 1
    # of unmarked nuclei nobody says a group any more
    assert result.arms["sr"].group is None
    assert result.profile_digest != before
    assert any("today's settings of" in flag for flag in result.flags)
    assert verify(older, quiet).is_sound


def test_with_raw_frames_alone_it_is_computed_whole(older):
    for name in ("localizations", "images", "nuclei", "results"):
        shutil.rmtree(older.root / name)
    older.report.unlink()
    assert process_run(older, quiet).arms["sr"].her2_signals == 3


def test_a_profile_that_nobody_knows_is_told(older):
    text = older.manifest.read_text().replace('"recommended"', '"homemade"')
    older.manifest.write_text(text)
    with pytest.raises(DataError, match="'homemade' is none that this program knows"):
        verify(older, quiet)


BROKEN = [
    pytest.param(lambda said: "", "is damaged .*restore it", id="empty"),
    pytest.param(
        lambda said: said[: len(said) // 2], "is damaged .*restore", id="torn"
    ),
    pytest.param(lambda said: "[]", "is damaged", id="a list"),
    pytest.param(
        lambda said: json.dumps(json.loads(said) | {"version": 99}),
        "has version 99; install the newer her2sr",
        id="newer",
    ),
    pytest.param(
        lambda said: json.dumps(json.loads(said) | {"surprise": 1}),
        "not understood at 'surprise' .*install the her2sr that wrote it",
        id="a name of another program",
    ),
    pytest.param(
        lambda said: said.replace('"fields"', '"tiles"', 1),
        "not understood at 'fields' .*restore it from a copy",
        id="without its fields",
    ),
]


@pytest.mark.parametrize(("harm", "says"), BROKEN)
def test_a_broken_manifest_is_one_sentence_with_a_cure_and_nothing_is_touched(
    older, tmp_path, capfd, harm, says
):
    older.manifest.write_text(harm(older.manifest.read_text()))
    share = tmp_path / "share"
    share.mkdir()
    before = contents(tmp_path)
    alone = [(verb,) for verb in ("verify", "process", "report", "recompress")]
    for verb, *rest in (*alone, ("offload", str(share))):
        with pytest.raises(SystemExit) as end:
            main([verb, str(older.root), *rest])
        told = "".join(capfd.readouterr())
        assert end.value.code == 1
        (sentence,) = [line for line in told.splitlines() if "manifest" in line]
        assert re.search(says, sentence), (verb, told)
    assert contents(tmp_path) == before


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
