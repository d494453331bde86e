"""What README and Makefile promise exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
RELEASE = (ROOT / "docs" / "release.md").read_text()
PROMISED = {"demo", "test", "check", "bench", "clean", "soak", "image-check"}


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def test_the_makefile_has_what_is_promised():
    assert targets() >= PROMISED


def test_every_make_command_of_the_pages_is_a_target():
    named = re.findall(
        r"^    make ([a-z-]+)", README + CONTRIBUTING + RELEASE, re.MULTILINE
    )
    assert named
    assert set(named) <= targets()


@pytest.mark.parametrize("target", sorted(PROMISED | {"kernels", "lock", "openapi"}))
def test_make_understands_every_target(target):
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_make_alone_lists_the_targets():
    done = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(f"\n{name} " in f"\n{done.stdout}" for name in PROMISED)


def test_without_a_fitting_python_make_says_what_to_do(tmp_path):
    done = subprocess.run(
        ["make", "install", "PYTHON=", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "no Python 3.11 or newer" in done.stderr


def test_the_layout_of_the_readme_is_the_layout():
    folders = re.findall(r"^\| `([a-z0-9_/]+)/` \|", README, re.MULTILINE)
    assert len(folders) >= 8
    assert [name for name in folders if not (ROOT / name).is_dir()] == []


def test_links_of_the_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    broken = [
        (page.name, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert broken == []


def test_integration_calls_check_and_test():
    script = (ROOT / ".ci" / "run").read_text()
    assert "\nmake check\n" in script
    assert "\nmake test\n" in script
    assert script.startswith("#!/usr/bin/env bash")
