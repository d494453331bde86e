"""A backup of the databases can be put back, whole or not at all."""

import sqlite3

import pytest

from her2sr_acq.errors import ConfigError, RunConflictError, StorageError
from her2sr_acq.ownership import Hold, Holder
from her2sr_acq.verbs.backup import SUMS, backup, restore

ME = Holder(pid=1, started_utc="", configuration="c", runtime="")


def write(path, value):
    with sqlite3.connect(path) as link:
        link.execute("PRAGMA journal_mode = WAL")
        link.execute("CREATE TABLE IF NOT EXISTS t (v)")
        link.execute("INSERT INTO t VALUES (?)", (value,))
    link.close()


def read(path):
    with sqlite3.connect(path) as link:
        found = [value for (value,) in link.execute("SELECT v FROM t")]
    link.close()
    return found


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "her2sr.db", "runs")
    write(folder / "service.db", "users")
    return folder


def test_what_was_backed_up_comes_back_and_what_stood_there_is_set_aside(
    data, tmp_path
):
    assert backup(data, tmp_path / "b") == ["her2sr.db", "service.db"]
    write(data / "her2sr.db", "later")
    said = restore(data, tmp_path / "b")
    assert read(data / "her2sr.db") == ["runs"]
    assert read(data / "service.db") == ["users"]
    (aside,) = data.glob("her2sr.db.before-*[0-9Z]")
    assert read(aside) == ["runs", "later"]
    assert any(aside.name in line for line in said)


def test_a_backup_is_taken_while_a_service_writes(data, tmp_path):
    link = sqlite3.connect(data / "her2sr.db")
    link.execute("BEGIN IMMEDIATE")
    link.execute("INSERT INTO t VALUES ('half')")
    backup(data, tmp_path / "b")
    link.commit()
    link.close()
    restore(data, tmp_path / "b")
    assert read(data / "her2sr.db") == ["runs"]


def test_nothing_is_put_back_under_a_running_service(data, tmp_path):
    backup(data, tmp_path / "b")
    with Hold(data, ME), pytest.raises(RunConflictError, match="stop its service"):
        restore(data, tmp_path / "b")


def test_a_damaged_backup_changes_nothing(data, tmp_path):
    backup(data, tmp_path / "b")
    copy = tmp_path / "b" / "service.db"
    copy.write_bytes(copy.read_bytes()[:-10])
    write(data / "her2sr.db", "later")
    with pytest.raises(StorageError, match="not as it was backed up"):
        restore(data, tmp_path / "b")
    assert read(data / "her2sr.db") == ["runs", "later"]


@pytest.mark.parametrize("sums", [None, "", "nonsense\n", "0 other.db\n", "0 ../x\n"])
def test_what_is_no_backup_is_refused(data, tmp_path, sums):
    folder = tmp_path / "b"
    folder.mkdir()
    if sums is not None:
        (folder / SUMS).write_text(sums)
    with pytest.raises(ConfigError, match=r"backup|no data folder holds"):
        restore(data, folder)


def test_a_folder_without_databases_or_a_second_backup_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="no database"):
        backup(tmp_path, tmp_path / "b")
    backup(data, tmp_path / "b")
    with pytest.raises(ConfigError, match="exists already"):
        backup(data, tmp_path / "b")


def test_a_damaged_database_is_not_backed_up(data, tmp_path):
    (data / "service.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(StorageError, match=r"service\.db"):
        backup(data, tmp_path / "b")
    assert not (tmp_path / "b").exists()
