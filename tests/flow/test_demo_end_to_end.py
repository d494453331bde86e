"""The whole chain as a person starts it: one command, real processes, real files."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

HER2SR = Path(sys.executable).with_name("her2sr")
SMALL = ["--fields", "1x1", "--size", "128", "--frames", "40", "--nuclei-frames", "20"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The data folder of one small demo, and what the command said."""
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [HER2SR, "demo", "--out", out, *SMALL],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out, done


@pytest.fixture(scope="module")
def run_folder(demo) -> Path:
    (folder,) = (demo[0] / "runs").iterdir()
    return folder


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HER2SR, "verify", folder], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_demo_ends_with_counts_beside_the_truth(demo, run_folder):
    _, done = demo
    for words in ("HER2 per nucleus", "CEP17 per nucleus", "truth: copies", "(whole)"):
        assert words in done.stdout
    assert f"report: {run_folder / 'report.html'}" in done.stdout


@pytest.mark.slow
def test_no_frame_is_missing_at_any_tap(run_folder):
    taps = json.loads((run_folder / "results" / "result.json").read_text())[
        "accounting"
    ]
    assert taps["requested"] == taps["delivered"] == taps["written"] == 100
    assert taps["localized"] == taps["localizable"] == 80
    assert taps["published"] <= taps["localizable"]


@pytest.mark.slow
def test_the_run_folder_verifies(run_folder):
    done = verify(run_folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_copy_elsewhere_verifies_without_the_database(run_folder, tmp_path):
    copy = tmp_path / "elsewhere" / run_folder.name
    shutil.copytree(run_folder, copy)
    done = verify(copy)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_flipped_byte_in_the_copy_is_found(run_folder, tmp_path):
    copy = tmp_path / run_folder.name
    shutil.copytree(run_folder, copy)
    chunk = next(copy.glob("raw/*/561.ome.zarr/0/c/*/0/0"))
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    done = verify(copy)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_report_is_one_file_that_needs_no_network(run_folder):
    report = (run_folder / "report.html").read_text()
    loaded = re.findall(r"""(?:src|href)=["']([^"'#]+)""", report)
    assert [x for x in loaded if not x.startswith("data:")] == []
    assert "url(http" not in report
    assert "For research use only" in report


@pytest.mark.slow
def test_no_process_is_left_behind(demo):
    out = str(demo[0])
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if any(out in word for word in process.info["cmdline"] or ())
    ]
    assert left == []
