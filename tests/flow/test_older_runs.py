"""Run folders of earlier programs are read, verified, processed and offered again."""

import shutil
import zipfile
from pathlib import Path

import pytest

from her2sr_proc.errors import DataError
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.verify import verify
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.results import read_field, read_result

OLDER = sorted((Path(__file__).parents[1] / "data").glob("run-of-*.zip"))


def quiet(*_):
    pass


@pytest.fixture(params=OLDER, ids=lambda path: path.stem)
def older(request, tmp_path):
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(tmp_path)
    return RunFolder(tmp_path / "r1")


def test_there_are_runs_of_earlier_programs():
    assert OLDER


def test_its_answer_and_its_fields_are_read_as_they_stand(older):
    result = read_result(older)
    assert result.arms["sr"].her2_signals == 3
    assert result.arms["sr"].group == 2
    assert len(read_field(older, "r00_c00").nuclei) == 1


def test_it_verifies(older):
    verdict = verify(older, quiet)
    assert verdict.is_sound, (verdict.damage, verdict.gaps)


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
