"""Every script that is run by hand starts, and the quick ones measure something.

They are in no other test, so that a renamed function breaks them without a word.
"""

import runpy
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
SCRIPTS = sorted([*TESTS.glob("bench/*.py"), *TESTS.glob("study/*.py")])
SMALLEST = {
    "bench_kernels": "--side 64",
    "bench_burst": "--side 128 --rounds 1",
    "bench_regime": "--movies 1 --frames 10",
    "bench_process": "--frames 20 --side 64 --profile recommended",
    "count_in_tables": "--nuclei 2",
    "study_split_law": "--trials 5",
}
"""Of those that take less than a few seconds for it."""
TRAINING = ("bench_denoise",)


def call(script, arguments, monkeypatch) -> object:
    """Run a script as Python does; return what it ends with."""
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        return end.code
    return None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_starts_and_says_what_it_may_be_told(script, monkeypatch, capsys):
    if script.stem in TRAINING:
        pytest.importorskip("torch", reason="training needs the extra train")
    assert call(script, ["--help"], monkeypatch) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: {script.name}")
    assert "show this help message" in out


@pytest.mark.parametrize("name", SMALLEST)
def test_a_quick_script_measures_its_smallest_input(
    name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (script,) = (one for one in SCRIPTS if one.stem == name)
    assert not call(script, SMALLEST[name].split(), monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) > 1
