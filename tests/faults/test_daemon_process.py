"""The hardware process as a process: asked to end, killed, started twice."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import fake_daemon
import pytest
import yaml
from fake_microscope import FakeMicroscope, Faults, make_config
from short import short_folder
from stations import protocol, request

from her2sr_acq import daemon
from her2sr_acq.control import ControlClient
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.database import Database
from her2sr_acq.engine.rebuild import rebuild
from her2sr_acq.engine.recovery import recover
from her2sr_acq.errors import DeviceError, ServiceUnavailableError
from her2sr_acq.ownership import holder
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.ledger import read_ledger

LONG = request(plan=protocol(columns=2, frames=1000))


class Lab:
    """A data folder, a runtime folder, and daemons started on them."""

    def __init__(self, data: Path, runtime: Path) -> None:
        self.data, self.runtime = data, runtime
        self.config = runtime / "fake.yaml"
        self.config.write_text(yaml.safe_dump(make_config().model_dump(mode="json")))
        self.log = data.parent / "acq.log"
        self.client = ControlClient(runtime, deadline_s=0.5)

    def spawn(self, **environment: str) -> subprocess.Popen:
        options = ["--config", self.config, "--data", self.data]
        options += ["--runtime", self.runtime, "--url", "http://127.0.0.1:1"]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, fake_daemon.__file__, *options],
                stderr=output,
                env={**os.environ, "FAKE_PACE_S": "0.002", **environment},
            )

    @contextmanager
    def daemon(self, **environment: str):
        process = self.spawn(**environment)
        try:
            self.until(lambda: self.client.health().pid == process.pid)
            yield process
        finally:
            process.kill()
            process.wait(5.0)

    def until(self, is_so, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                if is_so():
                    return
            except ServiceUnavailableError:
                continue
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def start_run(self, frames: int = 50) -> str:
        run = self.client.submit(LONG, idempotency_key="k1")
        self.until(lambda: self.client.run(run.id).frames_done >= frames)
        return run.id

    def restored(self, run: str):
        """Do as the next start does; return the run, its units, and its key's run."""
        data = DataFolder(self.data)
        with Database(data.database) as database:
            rebuild(database, data)
            recover(database, data, Clock())
            units = [unit for f in database.fields(run) for unit in f.units]
            return database.run(run), units, database.under_key("k1")[1]

    def readable(self, run: str, field: str, channel: str) -> int:
        folder = DataFolder(self.data).run(run)
        key = UnitKey(run=run, field=field, channel=channel)
        blocks = read_ledger(folder.ledger)[key].blocks.values()
        return sum(len(raw.read_block(folder.raw(key), block)) for block in blocks)


@pytest.fixture
def lab(tmp_path):
    with short_folder() as runtime:
        yield Lab(tmp_path / "data", runtime)


def test_asked_to_end_it_stops_the_run_and_exits_within_seconds(lab):
    with lab.daemon() as process:
        run = lab.start_run()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(8.0) == 0
        assert time.monotonic() - began < 6.0
    assert holder(lab.data) is None
    view, units, _ = lab.restored(run)
    assert view.state == "aborted"
    assert units[0].state == "partial"
    assert units[0].written == lab.readable(run, "r00_c00", "561") >= 50
    assert units[0].written % 10 == 0
    assert [unit.state for unit in units[1:]] == ["skipped"] * 3


def test_killed_in_a_burst_it_leaves_exactly_what_can_be_read(lab):
    with lab.daemon() as process:
        run = lab.start_run()
        process.kill()
        process.wait(5.0)
    with lab.daemon():
        view = lab.client.run(run)
        (first, *others) = [u for f in lab.client.fields(run) for u in f.units]
        again = lab.client.submit(LONG, idempotency_key="k1")
    assert (view.state, again.id) == ("interrupted", run)
    assert "process died" in view.reason
    assert first.state == "partial"
    assert first.written == first.delivered == lab.readable(run, "r00_c00", "561") > 0
    assert view.frames_done == first.written
    assert {unit.state for unit in others} == {"planned"}


def test_a_torn_line_and_a_lost_database_change_nothing_of_that(lab):
    with lab.daemon() as process:
        run = lab.start_run()
        process.kill()
        process.wait(5.0)
    folder = DataFolder(lab.data).run(run)
    for path in (folder.ledger, folder.events):
        with path.open("ab") as file:
            file.write(b'{"kind": "blo')
    for path in lab.data.glob("her2sr.db*"):
        path.unlink()
    view, (first, *_), known = lab.restored(run)
    assert (view.state, known) == ("interrupted", run)
    assert view.started_utc is not None
    assert first.state == "partial"
    assert first.written == lab.readable(run, "r00_c00", "561") > 0


def test_row_20_a_second_process_on_the_same_data_names_the_first(lab):
    with lab.daemon() as process:
        held = holder(lab.data)
        second = lab.spawn()
        assert second.wait(20.0) == 2
        assert holder(lab.data) == held
    assert (held.pid, held.url) == (process.pid, "http://127.0.0.1:1")
    assert f"is held by process {process.pid}" in lab.log.read_text()
    assert "Traceback" not in lab.log.read_text()


# --- what prevents a start; in this process, since nothing is served


def stuck(config, path) -> FakeMicroscope:
    return FakeMicroscope(Faults(off_fails_nm=488, on_from_the_start_nm=488))


def works(config, path) -> FakeMicroscope:
    return FakeMicroscope()


def start(lab, open_hardware) -> int:
    options = ["--config", lab.config, "--data", lab.data, "--runtime", lab.runtime]
    return daemon.main([str(option) for option in options], open_hardware)


def test_light_that_cannot_be_proven_off_prevents_the_start(lab, caplog):
    assert start(lab, stuck) == 3
    assert "the light is not proven off" in caplog.messages[-1]


def test_devices_that_do_not_disconnect_hide_no_light(lab, caplog):
    class Torn(FakeMicroscope):
        def close(self) -> None:
            raise DeviceError("the core does not unload")

    faults = Faults(off_fails_nm=488, on_from_the_start_nm=488)
    assert start(lab, lambda *_: Torn(faults)) == 3
    assert "the light is not proven off" in caplog.messages[-1]


def test_a_wrong_configuration_is_one_sentence_and_exit_code_two(lab, caplog):
    lab.config.write_text("name: x")
    assert start(lab, works) == 2
    assert "Field required" in caplog.messages[-1]
    assert not lab.data.exists()


def test_row_18_a_damaged_database_is_named_and_left_alone(lab, caplog):
    lab.data.mkdir()
    database = lab.data / "her2sr.db"
    database.write_bytes(b"no database at all" * 100)
    assert start(lab, works) == 1
    assert "move it away" in caplog.messages[-1]
    assert database.read_bytes() == b"no database at all" * 100
    assert holder(lab.data) is None
