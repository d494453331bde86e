"""A run processed by a Dask cluster or in an object store is the run processed here."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import distributed
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from aiobotocore.endpoint import AioEndpoint
from clusters import cluster, free_port
from moto.server import ThreadedMotoServer
from run_folders import add_unit, make_run
from typer.testing import CliRunner

import her2sr_proc
from her2sr_acq.cli import build
from her2sr_acq.plan.models import NucleiOnly
from her2sr_acq.storage import discard_raw
from her2sr_proc.errors import (
    ClusterError,
    DataError,
    RequestError,
    StateError,
    WriteError,
)
from her2sr_proc.offline import pictures, schedulers
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline.remote import process_remote
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.case import RegionsMarked
from her2sr_proc.schema.ledger import StackRecord
from her2sr_proc.store.focus_stack import write_focus_stack
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import with_profile
from her2sr_proc.store.objects import RemoteRun
from her2sr_proc.store.raw_hold import RawHold

SIDE, FRAMES = 48, 40
FIELDS = ("r00_c00", "r00_c01")


def quiet(*_):
    pass


def film(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    mean = np.full((FRAMES, SIDE, SIDE), 20.0)
    spot = np.exp(-((x - 20) ** 2 + (y - 26) ** 2) / (2 * 0.7**2))
    mean += rng.poisson(1.0, FRAMES)[:, None, None] * 400.0 * spot
    mean[:, np.hypot(y - 24, x - 24) < 18] += 30.0
    return (100 + rng.poisson(mean) / 0.46).astype(np.uint16)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """A run as it was acquired: nothing is computed."""
    counts = {"561": FRAMES, "488": FRAMES, "405": FRAMES}
    folder = tmp_path_factory.mktemp("frames") / "r1"
    run = make_run(folder, frames=counts, size=SIDE, fields=FIELDS)
    for n, field in enumerate(FIELDS):
        for m, channel in enumerate(counts):
            add_unit(run, channel, film(10 * n + m), field=field)
    say_all(run)
    return run


def say_all(run):
    """Leave in a run folder whatever an answer may read besides frames."""
    lines = [
        {"nm": 561, "purpose": purpose, "power_percent": 40.0, "field": FIELDS[0]}
        | {"light_s": light_s, "frames": 40}
        for purpose, light_s in (("burst", 1.2), ("focus", 0.1), ("overview", 0.3))
    ]
    run.dose.write_text("".join(json.dumps(one) + "\n" for one in lines))
    light = {"nm": 561, "power_percent": 40.0, "lit_s": 99.0, "frames": 40}
    run.events.write_text(json.dumps({"kind": "light", "data": light}) + "\n")
    CaseFile(run.case, lambda: "2026-01-01T00:00:00Z").add(
        RegionsMarked(marks={f"{FIELDS[0]}/1": "normal"}), by="observer-1"
    )
    add_stack(run, UnitKey(run=run.name, field=FIELDS[1], channel="561"))
    run.simulated_truth.mkdir()
    middle = {"nucleus": [1], "x_um": [0.0], "y_um": [0.0]}
    shape = {"kind": ["tumour"], "outline_a_um": [2.3], "outline_b_um": [2.3]}
    place = {"signal": [1], "copy": [1], "probe": ["HER2"], "z_um": [0.0]}
    for name, columns in (
        ("nuclei", middle | shape | {"angle_rad": [0.0]}),
        ("loci", middle | place | {"in_section": [True]}),
    ):
        pq.write_table(pa.table(columns), run.simulated_truth / f"{name}.parquet")
    part = run.table_part(UnitKey(run=run.name, field=FIELDS[0], channel="488"), 0)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"torn by a crash of the live localizer")


def add_stack(run, key):
    """Give a unit pictures through the focus, as the engine does."""
    pictures = np.repeat(film(7)[:5], 2, axis=0)
    z_um = (4.0, 4.5, 5.0, 5.5, 6.0)
    size, digest = write_focus_stack(
        run.focus_stack(key), pictures, z_um=z_um, pixel_nm=130.0
    )
    stack = StackRecord(z_um=z_um, frames=2, bytes=size, sha256=digest, best_um=0.1)
    verdict = read_ledger(run.ledger)[key].verdict.model_copy(update={"stack": stack})
    with LineWriter(run.ledger) as ledger:
        ledger.append(verdict.model_dump_json())


def copied(frames, folder):
    shutil.copytree(frames.root, folder / "r1")
    return RunFolder(folder / "r1")


@pytest.fixture(scope="module")
def here(frames, tmp_path_factory):
    run = copied(frames, tmp_path_factory.mktemp("here"))
    process_run(run, quiet)
    return digests(run.root)


def digests(root):
    """Of every file, but of what the steps took."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p != RunFolder(root).times
    }


@pytest.mark.timeout(240)
def test_a_cluster_that_loses_a_worker_gives_the_same_files_bit_for_bit(
    frames, here, tmp_path, monkeypatch
):
    run = copied(frames, tmp_path)
    looks = []
    wait = distributed.wait
    monkeypatch.setattr(
        distributed, "wait", lambda *a, **k: looks.append(0) or wait(*a, **k)
    )
    with cluster(tmp_path, workers=2) as machines:
        tasks = []

        def told(name, done, total):
            tasks.append(name)
            if done == 1:
                machines.kill(machines.workers[0])

        who = schedulers.parse(f"dask://127.0.0.1:{machines.port}")
        process_run(run, told, scheduler=who)
    assert digests(run.root) == here
    assert len(looks) < 1000  # who waits for workers sleeps, and takes no processor
    assert {f"{f}/{c}" for f in FIELDS for c in ("561", "488", "405")} <= set(tasks)


@pytest.mark.timeout(240)
def test_a_lost_scheduler_is_one_sentence_and_the_next_run_computes_what_is_missing(
    frames, here, tmp_path
):
    run = copied(frames, tmp_path)
    with cluster(tmp_path, workers=1) as machines:

        def told(name, done, total):
            if done == 2:
                machines.kill(machines.scheduler)

        who = schedulers.Dask(machines.address, lost_s=2.0)
        with pytest.raises(ClusterError, match="only what is missing is computed"):
            process_run(run, told, scheduler=who)
    # a worker may have begun a third unit before it heard that its scheduler is gone
    kept = {
        path: path.stat().st_mtime_ns for path in run.root.glob("local*/*/*.parquet")
    }
    process_run(run, quiet)
    assert digests(run.root) == here
    for path, moment in kept.items():
        assert path.stat().st_mtime_ns == moment


class Killed(BaseException):
    """As SIGKILL of a worker."""


@pytest.mark.parametrize("writer", ["write_tiff", "write_preview"])
def test_a_worker_killed_between_a_picture_and_its_preview_leaves_no_gap(
    frames, here, tmp_path, monkeypatch, writer
):
    run = copied(frames, tmp_path)
    true = getattr(pictures, writer)

    def dying(path, *words, **more):
        true(path, *words, **more)
        if "superresolution" in path.name:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pictures, writer, dying)
        with pytest.raises(Killed):
            process_run(run, quiet)
    process_run(run, quiet)
    assert digests(run.root) == here


def half_written(run):
    """What a killed call leaves: a picture, a part of a table, tiles; a raw chunk."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)
    of = f"partial-{ended.pid}"
    lefts = (
        run.root / "images" / FIELDS[0] / f".561_mean.{of}.tif",
        run.root / "localizations" / FIELDS[1] / "561.parts" / f".0.{of}.parquet",
        run.root / "images" / "mosaic" / f".561_files.{of}" / "0_0.png",
        run.root / "raw" / FIELDS[0] / f".0.{of}",
    )
    for left in lefts:
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_bytes(b"torn")
    return lefts


def test_what_killed_calls_left_half_written_goes_but_not_from_raw_frames(
    frames, here, tmp_path
):
    run = copied(frames, tmp_path)
    *results, chunk = half_written(run)
    process_run(run, quiet)
    assert chunk.read_bytes() == b"torn"  # whoever rewrites raw frames looks
    chunk.unlink()
    assert [left for left in results if left.exists()] == []
    assert digests(run.root) == here


def test_what_another_call_may_still_be_writing_is_left_to_it(frames, tmp_path):
    run = copied(frames, tmp_path)
    picture, *_ = half_written(run)
    with RawHold(run):
        process_run(run, quiet)
    assert picture.read_bytes() == b"torn"


def test_what_a_living_process_writes_is_left_to_it(frames, tmp_path):
    run = copied(frames, tmp_path)
    own = run.root / "images" / f".overview.partial-{os.getpid()}.tif"
    own.parent.mkdir()
    own.write_bytes(b"not done")
    process_run(run, quiet)
    assert own.read_bytes() == b"not done"


def test_an_address_where_nothing_listens_is_told(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(schedulers, "CONNECT_S", 0.5)
    run = copied(frames, tmp_path)
    who = schedulers.Dask(f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        process_run(run, quiet, scheduler=who)
    assert not run.result.exists()


SAY = """
import sys
from pathlib import Path
from her2sr_proc.offline.pipeline import process_run
from her2sr_proc.offline import schedulers
from her2sr_proc.store.layout import RunFolder
schedulers.CONNECT_S = float(sys.argv[2])
for who in map(schedulers.parse, sys.argv[3:]):
    try:
        process_run(RunFolder(Path(sys.argv[1])), print, scheduler=who)
    except schedulers.ClusterError as exc:
        print(exc)
"""


def test_an_address_where_another_service_listens_is_told_and_the_process_ends(
    frames, tmp_path
):
    run = copied(frames, tmp_path)
    web = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    silent = socket.create_server(("127.0.0.1", 0))
    with web, silent:
        Thread(target=web.serve_forever, daemon=True).start()
        ports = [web.server_port, silent.getsockname()[1]]
        said = subprocess.run(
            [sys.executable, "-c", SAY, run.root, "1.0"]
            + [f"dask://127.0.0.1:{port}" for port in ports],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        web.shutdown()
    for port, sentence in zip(ports, said.stdout.splitlines(), strict=True):
        assert f"no Dask scheduler answers at tcp://127.0.0.1:{port}" in sentence
    assert said.stderr == ""


def test_a_scheduler_that_dies_is_told_without_a_traceback_of_dask_s(frames, tmp_path):
    run = copied(frames, tmp_path)
    with cluster(tmp_path, workers=0) as machines:
        words = [sys.executable, "-c", SAY, run.root, "20"]
        with subprocess.Popen(
            [*words, f"dask://127.0.0.1:{machines.port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as asking:
            machines.until_tasks_come()
            machines.kill(machines.scheduler)
            said, aside = asking.communicate(timeout=60)
    assert "was lost" in said
    assert aside == ""


@pytest.mark.parametrize("name", ["versions.py", "offline/schedulers.py"])
def test_a_worker_of_another_program_computes_nothing_and_is_told(
    frames, tmp_path, name
):
    """Of an earlier program, too, that could not tell which it is."""
    run = copied(frames, tmp_path)
    package = Path(her2sr_proc.__file__).parent
    other = tmp_path / "other" / "her2sr_proc"
    shutil.copytree(package, other, ignore=shutil.ignore_patterns("__pycache__"))
    changed = (other / name).read_text().replace("def program()", "def former()")
    (other / name).write_text(f"{changed}\n")
    with cluster(tmp_path, workers=0) as machines:
        machines.add_worker(first_path=other.parent)
        who = schedulers.Dask(machines.address)
        with pytest.raises(ClusterError) as told:
            process_run(run, quiet, scheduler=who)
    found = "no her2sr, or an earlier one" if name == "versions.py" else "her2sr 0"
    assert re.search(
        f"the worker tcp://127.0.0.1:.* has {found}.*; install the same",
        str(told.value),
    )
    assert [key for field in FIELDS for key in run.tables(field)] == []
    assert not run.result.exists()


@pytest.mark.parametrize(
    "text", ["", "dask://", "dask://host", "dask://host:0", "dask://h:70000", "slurm"]
)
def test_what_is_no_scheduler_is_refused(text):
    with pytest.raises(RequestError, match="is no scheduler"):
        schedulers.parse(text)


def test_a_cluster_without_workers_is_told_soon_and_given_up_late(
    frames, tmp_path, caplog
):
    run = copied(frames, tmp_path)
    with cluster(tmp_path, workers=0) as machines:
        who = schedulers.Dask(machines.address, alone_s=0.1, silent_s=3.0)
        with pytest.raises(ClusterError, match="no task ended within 3 s"):
            process_run(run, quiet, scheduler=who)
    told = [line for line in caplog.messages if "no worker has come" in line]
    assert len(told) == 1
    assert not run.result.exists()


class Failing:
    """Does no task of one channel, as a worker without memory."""

    def __init__(self, channel):
        self.channel = channel

    def run(self, doing, tasks):
        for task in tasks:
            outcome = doing(task)
            if task.unit is not None and task.unit.channel == self.channel:
                yield schedulers.Outcome(task, 0.0, f"{task.name}: killed")
            else:
                yield outcome


def test_tasks_that_failed_leave_an_answer_that_lacks_their_fields(frames, tmp_path):
    run = copied(frames, tmp_path)
    with pytest.raises(DataError, match="2 tasks failed"):
        process_run(run, quiet, scheduler=Failing("488"))
    assert "2 fields have no result" in run.result.read_text()


def test_a_former_result_of_a_field_whose_tasks_failed_is_told_until_it_is_made_anew(
    frames, here, tmp_path
):
    run = copied(frames, tmp_path)
    process_run(run, quiet)
    run.field_result(FIELDS[1]).unlink()
    for _ in range(2):
        with pytest.raises(DataError) as told:
            process_run(run, quiet, scheduler=Failing("488"))
        assert (
            f"lacks {FIELDS[1]} and holds the former result of {FIELDS[0]}: process"
        ) in str(told.value)
        said = run.result.read_text()
        assert said.count(f"{FIELDS[0]}: its former result stands") == 1
        assert "1 fields have no result" in said
    process_run(run, quiet)
    assert digests(run.root) == here


@pytest.fixture
def server():
    """An S3 server on loopback."""
    started = ThreadedMotoServer("127.0.0.1", 0)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """Return the URL of a bucket of the server, which this process speaks to."""
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # of another server
    name = f"her2-{port}"  # the server's memory outlives it
    fsspec.filesystem("s3", use_listings_cache=False).mkdir(name)
    return f"s3://{name}"


def give(frames, url):
    """Put a run folder into the store; return what speaks to it."""
    store = fsspec.filesystem("s3", use_listings_cache=False)
    store.put(str(frames.root), url, recursive=True)
    return store


def test_a_run_in_an_object_store_is_answered_there(frames, here, bucket, tmp_path):
    run = RemoteRun(f"{bucket}/runs/r1")
    store = give(frames, run.url)
    process_remote(run, quiet)
    store.get(run.url, str(tmp_path / "r1"), recursive=True)
    assert digests(tmp_path / "r1") == here
    page = (tmp_path / "r1" / "report.html").read_text()
    for words in ("<td>overview</td>", "through the focus of", "observer-1", "truth"):
        assert words in page, words


def test_a_table_that_is_lost_is_made_again_from_what_is_kept_of_frames_in_the_store(
    frames, bucket, tmp_path
):
    run = copied(frames, tmp_path / "here")
    process_run(run, quiet)
    with LineWriter(run.ledger) as ledger:
        told = discard_raw(
            run,
            NucleiOnly(nuclei_only=2.6),
            lambda line: ledger.append(line.model_dump_json()),
            lambda: "2026-01-02T00:00:00Z",
        )
    assert "cut to" in " ".join(told)
    run.table(UnitKey(run=run.name, field=FIELDS[0], channel="561")).unlink()
    there = RemoteRun(f"{bucket}/runs/r1")
    store = give(run, there.url)
    process_remote(there, quiet)
    store.get(there.url, str(tmp_path / "r1"), recursive=True)
    process_run(run, quiet)
    assert digests(tmp_path / "r1") == digests(run.root)


def test_another_profile_answers_beside_the_run_s_own_in_the_store_too(
    frames, here, bucket, tmp_path
):
    run = RemoteRun(f"{bucket}/runs/r1")
    store = give(frames, run.url)
    process_remote(run, quiet)
    said = CliRunner().invoke(build(), ["process", run.url, "--profile", "paper"])
    assert f"report: {run.url}/profiles/paper/report.html" in said.output
    store.get(run.url, str(tmp_path / "r1"), recursive=True)
    local = copied(frames, tmp_path / "here")
    process_run(with_profile(local, "paper"), quiet)
    found = digests(tmp_path / "r1")
    beside = {n: d for n, d in found.items() if n.startswith("profiles/")}
    assert {n: d for n, d in found.items() if n not in beside} == here
    expected = digests(local.root)
    times = "profiles/paper/results/times.json"
    assert beside.keys() <= expected.keys() | {times}
    assert {n: d for n, d in beside.items() if n != times} == {
        n: d for n, d in expected.items() if n.startswith("profiles/") and n != times
    }


def test_done_again_in_the_store_no_raw_frame_is_fetched(frames, bucket, monkeypatch):
    url = f"{bucket}/runs/r1"
    give(frames, url)
    runner = CliRunner()
    assert runner.invoke(build(), ["process", url]).exit_code == 0
    asked = []
    fetch = RemoteRun.fetch

    def watched(self, scratch, below):
        found = fetch(self, scratch, below)
        asked.extend(found)
        return found

    monkeypatch.setattr(RemoteRun, "fetch", watched)
    said = runner.invoke(build(), ["process", url])
    assert said.exit_code == 0
    assert f"report: {url}/report.html" in said.output
    assert not [name for name in asked if name.startswith("raw/")]


def test_a_store_that_does_not_answer_or_has_no_run_is_told(bucket, monkeypatch):
    with pytest.raises(StateError, match=r"no manifest\.json"):
        process_remote(RemoteRun(f"{bucket}/runs/nothing"), quiet)
    with pytest.raises(StateError, match="could not be read"):
        process_remote(RemoteRun("s3://no-such-bucket/r1"), quiet)


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///", "s3://bucket", "s3:///r1", "s3://b/../r1", "s3://b/r#1"]
)
def test_what_names_no_run_in_a_store_is_refused(url):
    with pytest.raises(RequestError, match="s3://BUCKET/FOLDER/RUN_ID"):
        RemoteRun(url)


@pytest.mark.parametrize("made", ["", "profiles/paper/"])
def test_the_answer_of_any_profile_is_given_back_last(bucket, tmp_path, made):
    for name in ("results/result.json", "results/z.csv", "report.html"):
        path = tmp_path / f"{made}{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    given = RemoteRun(f"{bucket}/r1").give_back(tmp_path, {})
    assert given[-1] == f"{made}results/result.json"


class Striking:
    """The app of an S3 server, which refuses some requests."""

    def __init__(self, true):
        self.true = true
        self.asked = 0
        self.strikes = lambda number: False
        self.says = ("503 Slow Down", "SlowDown")

    def __call__(self, environ, start_response):
        self.asked += 1
        if not self.strikes(self.asked):
            return self.true(environ, start_response)
        status, code = self.says
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(status, [("Content-Type", "application/xml")])
        body = f"<Error><Code>{code}</Code><Message>{status}</Message></Error>"
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body.encode()]


@pytest.fixture
def striking(server, monkeypatch):
    """What the server of `bucket` refuses; whoever asks again does so at once."""
    monkeypatch.setattr(AioEndpoint, "_sleep", lambda *_: asyncio.sleep(0))
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    app = server._server.app = Striking(server._server.app)
    return app


def test_a_store_that_refuses_every_second_request_gives_the_same_files(
    frames, here, bucket, striking, tmp_path
):
    run = RemoteRun(f"{bucket}/runs/r1")
    store = give(frames, run.url)
    striking.strikes = lambda number: number % 2 == 0
    process_remote(run, quiet)
    striking.strikes = lambda number: False
    store.get(run.url, str(tmp_path / "r1"), recursive=True)
    assert digests(tmp_path / "r1") == here


def test_a_store_lost_in_the_middle_has_no_answer_and_is_given_what_is_missing(
    frames, here, bucket, striking, tmp_path
):
    run = RemoteRun(f"{bucket}/runs/r1")
    store = give(frames, run.url)

    def told(name, done, total):
        if done == 2:
            striking.strikes = lambda number: True

    with pytest.raises((DataError, StateError)) as lost:
        process_remote(run, told)
    assert "\n" not in str(lost.value)
    striking.strikes = lambda number: False
    kept = made(store, run, "localizations")
    assert len(kept) == 2
    assert not store.exists(f"{run.url}/results/result.json")
    process_remote(run, quiet)
    assert {
        n: t for n, t in made(store, run, "localizations").items() if n in kept
    } == kept
    store.get(run.url, str(tmp_path / "r1"), recursive=True)
    assert digests(tmp_path / "r1") == here


def made(store, run, folder):
    """Return when every object below a folder of a run was written."""
    found = store.find(f"{run.url}/{folder}", detail=True)
    return {name: facts["LastModified"] for name, facts in found.items()}


def test_a_full_scratch_folder_is_told_as_that(frames, bucket, monkeypatch):
    run = RemoteRun(f"{bucket}/runs/r1")
    give(frames, run.url)
    full = "/raw/"

    def opened(path, mode):
        return open("/dev/full" if full in str(path) else path, mode)

    monkeypatch.setattr(s3fs.core, "open", opened, raising=False)
    sentence = r"the scratch folder \S+ of \S+ has no room \(No space left on device\)"
    with pytest.raises(DataError, match=rf"6 tasks failed \({sentence}.* TMPDIR"):
        process_remote(run, quiet)
    full = "manifest.json"
    with pytest.raises(WriteError, match=sentence):
        process_remote(run, quiet)


def test_wrong_credentials_are_one_sentence(frames, bucket, striking):
    url = f"{bucket}/runs/r1"
    give(frames, url)
    striking.says = ("403 Forbidden", "InvalidAccessKeyId")
    striking.strikes = lambda number: True
    said = CliRunner().invoke(build(), ["process", url])
    assert said.exit_code == 2
    (sentence,) = [line for line in said.output.splitlines() if "error" in line]
    assert re.search("could not be read .*; check .* the credentials", sentence)
