"""The lock file names a version for everything we ask for, and one that fits."""

import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = (ROOT / "requirements.lock").read_text().splitlines()
PINS = dict(line.split("==") for line in LINES if not line.startswith("#"))
OWN_BUILDS = "train"
"""Builds of the training library differ by machine: it is not locked."""


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    texts = [
        *PROJECT["dependencies"],
        *(t for name, ts in extras.items() if name != OWN_BUILDS for t in ts),
    ]
    return [Requirement(text) for text in texts]


def test_every_declared_dependency_is_locked():
    names = {canonicalize_name(r.name) for r in declared()}
    assert names - PINS.keys() == set()


def test_every_locked_version_is_one_we_accept():
    wrong = [
        (r.name, PINS[canonicalize_name(r.name)])
        for r in declared()
        if not r.specifier.contains(PINS[canonicalize_name(r.name)], prereleases=True)
    ]
    assert wrong == []


def test_every_locked_version_is_for_the_oldest_python_that_we_support():
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    wrong = []
    for name, version in PINS.items():
        try:
            wanted = metadata(name).get("Requires-Python")
        except PackageNotFoundError:  # of an extra that is not installed
            continue
        if wanted and oldest not in SpecifierSet(wanted):
            wrong.append((name, version, wanted))
    assert wrong == []


def test_the_lock_holds_names_and_versions_alone():
    assert not any("@" in line or "/" in line or ":" in line for line in LINES[1:])
    assert "torch" not in PINS


def test_what_builds_the_wheel_comes_with_the_extra_that_releases_it():
    """A fresh environment brings a setuptools of its Python, or none."""
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert set(built["requires"]) <= set(PROJECT["optional-dependencies"]["release"])
