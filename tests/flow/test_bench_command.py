"""`her2sr bench`: what it says, and what it refuses."""

import json
import sys

import pytest

from her2sr_acq.cli import main
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
