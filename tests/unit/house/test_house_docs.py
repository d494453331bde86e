"""The documentation is one whole: every page is reached, every link leads somewhere."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from her2sr_proc.schema.banner import BANNER

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def named(entry) -> set[str]:
    if isinstance(entry, str):
        return {entry}
    parts = entry.values() if isinstance(entry, dict) else entry
    return {name for part in parts for name in named(part)}


@pytest.mark.timeout(180)
def test_it_is_built_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "first-scan" / "index.html").read_text()
    assert "make demo" in page
    # no network: what a page loads is in the folder
    assert 'src="http' not in page
    assert 'rel="stylesheet" href="http' not in page


def test_every_page_has_its_place_in_the_navigation():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert {path.name for path in PAGES} == named(config["nav"]) - {
        "decisions/index.md"
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_page_says_what_it_is_not_for(path):
    assert "research use only" in path.read_text().lower(), BANNER


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "index.md").read_text()
    missing = [p.name for p in folder.glob("0*.md") if f"({p.name})" not in listed]
    assert missing == []
