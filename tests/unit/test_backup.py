"""A backup of the databases can be put back, whole or not at all."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from her2sr_acq.engine.database import Database
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


def test_nothing_is_put_back_while_the_web_service_alone_has_users_open(data, tmp_path):
    backup(data, tmp_path / "b")
    link = sqlite3.connect(data / "service.db")
    link.execute("SELECT v FROM t").fetchall()
    write(data / "her2sr.db", "later")
    with pytest.raises(RunConflictError, match=r"service\.db is in use"):
        restore(data, tmp_path / "b")
    link.close()
    assert read(data / "her2sr.db") == ["runs", "later"]
    assert names(data) == {"her2sr.db", "service.db", "daemon.json"}


def names(folder):
    return {path.name for path in folder.iterdir()}


class Killed(BaseException):
    """As SIGKILL: from then on this process does nothing more."""


@pytest.mark.parametrize("step", range(6))
def test_killed_at_any_step_every_database_is_whole_and_the_same_command_ends_it(
    data, tmp_path, monkeypatch, step
):
    backup(data, tmp_path / "b")
    for name in ("her2sr.db", "service.db"):
        write(data / name, "later")
    taken = []

    def struck(true):
        def call(*words, **more):
            taken.append(true)
            if len(taken) > step:
                raise Killed
            return true(*words, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", struck(os.link))
        patch.setattr(Path, "replace", struck(Path.replace))
        patch.setattr(Path, "unlink", struck(Path.unlink))
        with pytest.raises(Killed):
            restore(data, tmp_path / "b")
    for name, first in (("her2sr.db", "runs"), ("service.db", "users")):
        assert read(data / name) in ([first], [first, "later"])
    restore(data, tmp_path / "b")
    assert read(data / "her2sr.db") == ["runs"]
    assert read(data / "service.db") == ["users"]
    assert not [name for name in names(data) if "restoring" in name]


@pytest.mark.parametrize("name", ["her2sr.db", "service.db"])
def test_a_backup_of_a_newer_program_changes_nothing(data, tmp_path, name):
    link = sqlite3.connect(data / name)
    link.execute("PRAGMA user_version = 99")
    link.close()
    backup(data, tmp_path / "b")
    write(data / "her2sr.db", "later")
    with pytest.raises(StorageError, match=r"version 99 .* install the newer her2sr"):
        restore(data, tmp_path / "b")
    assert read(data / "her2sr.db") == ["runs", "later"]


def test_passwords_are_readable_by_their_owner_alone_in_the_copy_and_put_back(
    data, tmp_path
):
    backup(data, tmp_path / "b")
    restore(data, tmp_path / "b")
    for folder in (tmp_path / "b", data):
        mode = (folder / "service.db").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_nothing_is_written_into_a_backup_that_is_read(data, tmp_path):
    backup(data, tmp_path / "b")
    restore(data, tmp_path / "b")
    assert names(tmp_path / "b") == {"her2sr.db", "service.db", SUMS}


def test_a_folder_may_have_any_name(data, tmp_path):
    odd = data.rename(tmp_path / "100% #1?mode=rw")
    backup(odd, tmp_path / "50%20 #b")
    assert any("put back" in line for line in restore(odd, tmp_path / "50%20 #b"))
    assert read(odd / "her2sr.db") == ["runs"]


def test_a_damaged_database_is_set_aside_as_it_is(data, tmp_path):
    backup(data, tmp_path / "b")
    (data / "service.db").write_bytes(b"no database at all")
    restore(data, tmp_path / "b")
    (aside,) = data.glob("service.db.before-*[0-9Z]")
    assert aside.read_bytes() == b"no database at all"
    assert read(data / "service.db") == ["users"]


def test_a_restored_index_opens(data, tmp_path):
    backup(data, tmp_path / "b")
    restore(data, tmp_path / "b")
    with Database(data / "her2sr.db") as database:
        assert database.ids() == set()


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
