"""Build the wheel and the sdist from what git tracks, under the version of the tag."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
BUILD = (
    "import sys; from setuptools import build_meta as b; "
    "dist = sys.argv[1]; "  # setuptools leaves words of its own in argv
    "b.build_sdist(dist); b.build_wheel(dist)"
)


def wrong_tags(tags: list[str], version: str) -> list[str]:
    """Return the version tags of a commit that contradict the version declared."""
    return [tag for tag in tags if tag.startswith("v") and tag != f"v{version}"]


def git(*words: str) -> bytes:
    """Return what git says in this repository."""
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, capture_output=True
    ).stdout


def main() -> int:
    """Return 0 with both files in the folder named, 2 where a tag contradicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", type=Path)
    dist = parser.parse_args().dist.resolve()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if wrong := wrong_tags(git("tag", "--points-at", "HEAD").decode().split(), version):
        sys.stderr.write(
            f"the tag {wrong[0]} is not the version {version} of pyproject.toml; "
            "change one of them\n"
        )
        return 2
    dist.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="her2sr-build-") as folder:
        tree = git("archive", "--format=tar", "HEAD")
        subprocess.run(["tar", "-x", "-C", folder], input=tree, check=True)
        command = [sys.executable, "-c", BUILD, str(dist)]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
