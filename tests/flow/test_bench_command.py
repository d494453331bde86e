"""`her2sr bench`: what it says, and what it refuses."""

import errno
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from types import SimpleNamespace

import pytest

from her2sr_acq.cli import main
from her2sr_acq.verbs import rate, stages
from her2sr_proc.schema.banner import BANNER

TINY = ("--size", 64, "--emitters", 5, "--frames", 12, "--jobs", 2)


def run(*arguments) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as end:
        main(["bench", *map(str, arguments)])
    return int(end.value.code or 0)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_it_tells_every_step_and_the_whole(capsys, kind):
    assert run(*TINY, "--kind", kind, "--json") == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert BANNER in err
    assert (said["frames"], said["threads"], said["side_px"]) == (12, 2, 64)
    assert said["multi"] == (kind == "multi")
    for step in ("input_s", "detection_s", "fit_s", "crowd_s"):
        assert 0 < said[step] < 1
    assert 0 < said["share_of_bound"] < 1
    found = said["localizations_per_s"] / said["frames_per_s"]
    assert found == pytest.approx(5, abs=1.5)


def test_it_speaks_in_sentences(capsys):
    assert run(*TINY) == 0
    out = capsys.readouterr().out
    for word in ("frames/s", "localizations/s", "detection", "fit", "input", "memory"):
        assert word in out


def test_more_spots_than_a_frame_can_show_are_refused(capsys):
    assert run("--size", 64, "--emitters", 5000) == 2
    assert "do not stand apart" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_told_with_the_cure(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "picasso", None)
    assert run(*TINY, "--against", "picasso") == 2
    assert "pip install 'her2sr[bench]'" in capsys.readouterr().err


# --- the whole way at full rate

SHORT = ("pipeline", "--frames", 200, "--size", 512)
PIXELS = 200 * 2 * 512**2


@pytest.fixture
def measured(monkeypatch):
    """What was begun of a bench whose steps do nothing, by name."""
    begun = []
    burst = SimpleNamespace(run=SimpleNamespace(id="r1"))

    def step(name, said):
        def take(*_, **__):
            begun.append(name)
            return said

        return take

    monkeypatch.setattr(stages, "measure_bounds", step("bounds", stages.Bounds))
    monkeypatch.setattr(rate, "measure", step("burst", burst))
    monkeypatch.setattr(stages, "measure_stages", step("stages", ()))
    monkeypatch.setattr(stages.Bounds, "cores", 1, raising=False)
    return begun


def test_the_room_that_the_service_keeps_free_is_asked_for_before(
    measured, tmp_path, monkeypatch, capsys
):
    free = SimpleNamespace(total=10**12, used=0, free=PIXELS + 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    assert run(*SHORT, "--out", tmp_path) == 2
    assert "1.2 GB are needed in" in capsys.readouterr().err
    assert measured == []


def test_a_folder_that_takes_none_is_a_wrong_request(
    measured, tmp_path, monkeypatch, capsys
):
    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "x")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    assert run(*SHORT, "--out", tmp_path) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path} takes no folder (Read-only file system); name one that" in said
    assert measured == []


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("module", "step"),
    [(stages, "measure_bounds"), (rate, "measure"), (stages, "measure_stages")],
)
def test_a_bench_that_is_ended_at_any_step_leaves_no_frame(
    measured, tmp_path, monkeypatch, capsys, module, step, kind
):
    def ended(*_, **__):
        (folder,) = tmp_path.iterdir()
        (folder / "frames").write_text("many")
        os.kill(os.getpid(), kind)
        time.sleep(5.0)

    # what a mistake would do to pytest itself
    former = signal.signal(kind, lambda *_: None)
    try:
        monkeypatch.setattr(module, step, ended)
        assert run(*SHORT, "--out", tmp_path) == 130
    finally:
        signal.signal(kind, former)
    assert list(tmp_path.iterdir()) == []
    assert "interrupted" in capsys.readouterr().err
