"""A backup of the databases can be put back, whole or not at all."""

import hashlib
import os
import sqlite3
import stat

import pytest

from her2sr_acq.accounts.database import ServiceDatabase
from her2sr_acq.engine.database import Database
from her2sr_acq.errors import ConfigError, RunConflictError, StorageError
from her2sr_acq.ownership import Hold, Holder
from her2sr_acq.verbs import restore as restoring
from her2sr_acq.verbs.backup import backup
from her2sr_acq.verbs.database_copies import SUMS
from her2sr_acq.verbs.restore import restore

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
    Database(folder / "her2sr.db").close()
    ServiceDatabase(folder / "service.db").close()
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
    assert list(tmp_path.glob(".b*")) == []


def resummed(folder):
    lines = [
        f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n"
        for n in ("her2sr.db", "service.db")
    ]
    (folder / SUMS).write_text("".join(lines))


def newer(folder):
    with sqlite3.connect(folder / "service.db") as link:
        link.execute("PRAGMA user_version = 99")
    link.close()
    resummed(folder)


def another_program(folder):
    with sqlite3.connect(folder / "service.db") as link:
        link.execute("DROP TABLE users")
    link.close()
    resummed(folder)


def swapped(folder):
    (folder / "service.db").write_bytes((folder / "her2sr.db").read_bytes())
    resummed(folder)


def cut_short(folder):
    lines = (folder / SUMS).read_text().splitlines(keepends=True)
    (folder / SUMS).write_text(lines[0])


def standing(data):
    return {n: read(data / n) for n in ("her2sr.db", "service.db")}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (newer, "has version 99 and this program knows"),
        (another_program, "has no table 'users'"),
        (swapped, "has no table 'users'"),
        (cut_short, r"does not name service\.db"),
    ],
)
def test_what_the_service_would_not_open_is_not_put_back(data, tmp_path, spoil, says):
    backup(data, tmp_path / "b")
    spoil(tmp_path / "b")
    write(data / "her2sr.db", "later")
    with pytest.raises(StorageError, match=says):
        restore(data, tmp_path / "b")
    assert standing(data) == {"her2sr.db": ["runs", "later"], "service.db": ["users"]}
    assert list(data.glob("*.before-*")) == []


def test_a_folder_whose_name_has_signs_of_an_address_is_backed_up(data, tmp_path):
    strange = data.rename(tmp_path / "lab#2?mode=rwc%20")
    backup(strange, tmp_path / "b?#")
    restore(tmp_path / "new", tmp_path / "b?#")
    assert standing(tmp_path / "new") == {
        "her2sr.db": ["runs"],
        "service.db": ["users"],
    }


def test_digests_of_passwords_are_nobody_elses_to_read(data, tmp_path):
    backup(data, tmp_path / "b")
    restore(data, tmp_path / "b")
    for path, mode in [
        (tmp_path / "b", 0o700),
        (tmp_path / "b/service.db", 0o600),
        (data / "service.db", 0o600),
    ]:
        assert stat.S_IMODE(path.stat().st_mode) == mode, path


def test_a_backup_is_its_listed_files_and_nothing_else(data, tmp_path):
    backup(data, tmp_path / "b")
    restore(data, tmp_path / "b")
    names = {path.name for path in (tmp_path / "b").iterdir()}
    assert names == {SUMS, "her2sr.db", "service.db"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_puts_back_belongs_to_the_service(data, tmp_path):
    backup(data, tmp_path / "b")
    os.chown(data, 1234, 1234)
    restore(data, tmp_path / "b")
    for name in ("her2sr.db", "service.db", "daemon.json"):
        assert (data / name).stat().st_uid == 1234


def test_nothing_is_put_back_under_a_page_server_that_has_the_users_open(
    data, tmp_path
):
    backup(data, tmp_path / "b")
    with ServiceDatabase(data / "service.db") as database:
        database.rows("SELECT 1")
        with pytest.raises(RunConflictError, match="stop her2sr-api"):
            restore(data, tmp_path / "b")
    assert list(data.glob("*.before-*")) == []


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("name", ["_stage", "_fold", "_keep", "_swap"])
@pytest.mark.parametrize("call", [0, 1])
def test_a_killed_restore_leaves_whole_databases_and_the_next_one_finishes(
    data, tmp_path, monkeypatch, name, call
):
    backup(data, tmp_path / "b")
    write(data / "her2sr.db", "later")
    write(data / "service.db", "later")
    real, calls = getattr(restoring, name), []

    def killed(*words):
        calls.append(words)
        if len(calls) == call + 1:
            raise Killed
        return real(*words)

    monkeypatch.setattr(restoring, name, killed)
    with pytest.raises(Killed):
        restore(data, tmp_path / "b")
    monkeypatch.setattr(restoring, name, real)
    for found, whole in zip(standing(data).values(), ("runs", "users"), strict=True):
        assert found in ([whole], [whole, "later"])
    restore(data, tmp_path / "b")
    assert standing(data) == {"her2sr.db": ["runs"], "service.db": ["users"]}


def test_a_damaged_database_is_replaced_and_kept_as_it_was(data, tmp_path):
    backup(data, tmp_path / "b")
    broken = b"SQLite format 3\0" + b"x" * 5000
    (data / "service.db").write_bytes(broken)
    (data / "service.db-wal").write_bytes(b"left of it")
    restore(data, tmp_path / "b")
    assert read(data / "service.db") == ["users"]
    (aside,) = data.glob("service.db.before-*Z")
    assert aside.read_bytes() == broken
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"left of it"


def test_a_disk_without_room_keeps_what_stood_there(data, tmp_path, monkeypatch):
    backup(data, tmp_path / "b")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restoring.shutil, "copyfile", full)
    with pytest.raises(StorageError, match=r"No space left.*make room"):
        restore(data, tmp_path / "b")
    assert standing(data) == {"her2sr.db": ["runs"], "service.db": ["users"]}
    assert list(data.glob(".*.restoring")) == []


@pytest.mark.parametrize("out", [".", "b", "../data/deep/b"])
def test_a_backup_within_what_it_backs_up_is_refused(data, out):
    with pytest.raises(ConfigError, match=r"exists already|would be lost with it"):
        backup(data, data / out)


@pytest.mark.parametrize("place", ["runs", "runs/20260101-x", "new"])
def test_nothing_is_put_back_among_the_runs_of_a_data_folder(data, tmp_path, place):
    backup(data, tmp_path / "b")
    (data / "runs").mkdir()
    with pytest.raises(ConfigError, match=f"lies in the data folder {data}"):
        restore(data / place, tmp_path / "b")
    assert list((data / "runs").iterdir()) == []


def test_nothing_is_put_back_into_the_folder_of_a_run(data, tmp_path):
    backup(data, tmp_path / "b")
    run = tmp_path / "copied-run"
    run.mkdir()
    (run / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match="is the folder of a run"):
        restore(run, tmp_path / "b")
    assert [path.name for path in run.iterdir()] == ["manifest.json"]


def test_a_backup_is_put_into_an_empty_folder(data, tmp_path):
    backup(data, tmp_path / "b")
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "empty", tmp_path / "b")
    assert standing(tmp_path / "empty") == {
        "her2sr.db": ["runs"],
        "service.db": ["users"],
    }


def test_a_file_is_no_data_folder(data, tmp_path):
    backup(data, tmp_path / "b")
    with pytest.raises(ConfigError, match="is a file; name the data folder"):
        restore(data / "her2sr.db", tmp_path / "b")
