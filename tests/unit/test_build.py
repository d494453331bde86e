"""One commit gives one wheel and one sdist, to the byte, or a sentence."""

import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "small"
version = "{version}"
[tool.setuptools]
packages = ["small"]
"""
BUILDS = (
    "import importlib.util, pathlib, sys\n"
    "spec = importlib.util.spec_from_file_location('build', sys.argv[1])\n"
    "tool = importlib.util.module_from_spec(spec)\n"
    "spec.loader.exec_module(tool)\n"
    "tool.build(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))\n"
)


def tool():
    spec = importlib.util.spec_from_file_location("build", ROOT / "tools/build.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def git(folder, *words):
    me = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *me, *words], cwd=folder, check=True)


def declare(folder, version):
    (folder / "pyproject.toml").write_text(PROJECT.format(version=version))


@pytest.fixture
def small(tmp_path):
    folder = tmp_path / "small-source"
    (folder / "small").mkdir(parents=True)
    (folder / "small/__init__.py").write_text("HERE = 1\n")
    declare(folder, "0.1.0")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "all")
    return folder


def test_two_folders_and_two_builders_give_the_same_bytes(small, tmp_path):
    other = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(small), str(other))
    names = tool().build(small, tmp_path / "one")
    strange = {"umask": 0o077, "env": {**os.environ, "TZ": "Asia/Tokyo"}}
    words = [sys.executable, "-c", BUILDS, ROOT / "tools/build.py", other]
    subprocess.run([*words, tmp_path / "two"], check=True, **strange)
    assert names == ["small-0.1.0-py3-none-any.whl", "small-0.1.0.tar.gz"]
    for name in names:
        one, two = ((tmp_path / n / name).read_bytes() for n in ("one", "two"))
        assert one == two, name
    with tarfile.open(tmp_path / "one" / names[1]) as tar:
        assert "small-0.1.0/small/__init__.py" in tar.getnames()
        assert {(m.uid, m.uname) for m in tar.getmembers()} == {(0, "")}


def test_the_version_is_the_commit_s_and_a_dirty_folder_is_told(small):
    git(small, "tag", "v0.1.0")
    assert tool().remarks(small, tool().version_of(small)) == []
    declare(small, "0.2.0")
    assert tool().version_of(small) == "0.1.0"
    (said,) = tool().remarks(small, "0.1.0")
    assert said.startswith("1 changed or untracked files, such as pyproject.toml")


def test_a_tag_that_only_the_loose_file_agrees_with_is_refused(small):
    git(small, "tag", "v0.2.0")
    declare(small, "0.2.0")
    found = tool()
    with pytest.raises(found.BuildError, match=r"v0\.2\.0 is not the version"):
        found.version_of(small)


def test_a_commit_without_a_tag_is_told(small):
    (said,) = tool().remarks(small, "0.1.0")
    assert "has no tag v0.1.0" in said


def test_a_copy_without_history_is_one_sentence_and_no_file(tmp_path):
    declare(tmp_path, "0.1.0")
    found = tool()
    with pytest.raises(found.BuildError, match="pip wheel --no-deps"):
        found.build(tmp_path, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_build_that_fails_leaves_what_stood_there(small, tmp_path):
    found = tool()
    found.build(small, tmp_path / "dist")
    before = {p.name: p.read_bytes() for p in (tmp_path / "dist").iterdir()}
    (small / "pyproject.toml").write_text(PROJECT.format(version="0.1.0") + "x = 1\n")
    git(small, "commit", "-qam", "broken")
    with pytest.raises(found.BuildError, match="nothing was built"):
        found.build(small, tmp_path / "dist")
    assert {p.name: p.read_bytes() for p in (tmp_path / "dist").iterdir()} == before
