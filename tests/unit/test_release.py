"""What is released holds all that the tree holds, under one version."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = ("her2sr_acq", "her2sr_proc", "simulators", "device_configs")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
LEFT_BY_RUNNING = {".pyc", ".nbi", ".nbc"}
BESIDE = ("requirements.lock", "CITATION.cff", "CHANGELOG.md")
"""What an installation from the sdist needs besides its packages, as `deploy`."""
BUILD = "from setuptools import build_meta as b; b.build_sdist('.'); b.build_wheel('.')"


def tree() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in LEFT_BY_RUNNING
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", *BESIDE):
        shutil.copy(ROOT / name, source)
    for package in (*PACKAGES, "deploy"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignore)
    subprocess.run(
        [sys.executable, "-c", BUILD], cwd=source, check=True, capture_output=True
    )
    return source


@pytest.fixture(scope="module")
def wheel(built):
    (found,) = built.glob("*.whl")
    return found


def test_the_sdist_holds_the_packages_the_lock_and_the_services(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    deployed = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file()
    }
    assert tree() | deployed | set(BESIDE) <= files


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert tree() - names == set(), "name it in [tool.setuptools.package-data]"
    assert names - tree() == set()


def test_the_wheel_carries_its_licence_its_version_and_its_command(wheel):
    archive = zipfile.ZipFile(wheel)
    info = f"her2sr-{VERSION}.dist-info"
    assert archive.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert f"\nVersion: {VERSION}\n" in archive.read(f"{info}/METADATA").decode()
    assert b"her2sr = her2sr_acq.cli:main" in archive.read(f"{info}/entry_points.txt")


def test_the_citation_names_the_version_released():
    assert (
        str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]) == VERSION
    )


def test_the_command_says_its_version_and_what_it_is_for():
    code = "from her2sr_acq.cli import main; main(['--version'])"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("her2sr ")
    assert "For research use only" in said.stdout


def tool_of(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def test_a_tag_that_is_not_the_version_is_refused():
    tool = tool_of("build")
    assert tool.wrong_tags(["v0.1.0", "seen-by-a-person"], "0.1.0") == []
    assert tool.wrong_tags(["v0.2.0"], "0.1.0") == ["v0.2.0"]


FINE = {"name": "a", "version": "1", "vulns": []}
LOST = {"name": "b", "skip_reason": "Dependency not found on PyPI"}
BAD = {
    "name": "c",
    "version": "1",
    "vulns": [{"id": "CVE-0", "fix_versions": ["2"]}],
}


@pytest.mark.parametrize(
    ("packages", "code", "says"),
    [
        ([FINE], 0, "1 locked versions were looked up"),
        ([FINE, LOST], 2, "1 of 2 locked versions could not be looked up"),
        ([LOST, BAD], 1, "c 1: CVE-0, mended by 2"),
        ([FINE, BAD], 1, "2 locked versions were looked up"),
    ],
    ids=["clean", "lost", "bad and lost", "bad"],
)
def test_an_audit_calls_clean_only_what_was_looked_up(packages, code, says):
    found, lines = tool_of("audit").judge(packages)
    assert found == code
    assert any(says in line for line in lines)
