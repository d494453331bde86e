"""Build the wheel and the sdist from what git tracks, under the version of the tag.

One commit gives the same bytes everywhere (with the same setuptools and zlib): times
are the commit's, and who builds leaves neither name nor rights in the files.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
UMASK = 0o022
BUILD = (
    "import sys; from setuptools import build_meta as b; "
    "dist = sys.argv[1]; "  # setuptools leaves words of its own in argv
    "b.build_sdist(dist); b.build_wheel(dist)"
)


class BuildError(Exception):
    """Nothing was built; the message says why and what to do."""


def wrong_tags(tags: list[str], version: str) -> list[str]:
    """Return the version tags of a commit that contradict the version declared."""
    return [tag for tag in tags if tag.startswith("v") and tag != f"v{version}"]


def git(root: Path, *words: str) -> bytes:
    """Return what git says in a repository. Raises `BuildError`."""
    try:
        return subprocess.run(
            ["git", *words], cwd=root, check=True, capture_output=True
        ).stdout
    except FileNotFoundError as exc:
        raise BuildError("there is no git; install it") from exc
    except subprocess.CalledProcessError as exc:
        said = exc.stderr.decode(errors="replace").strip().split("\n")[0]
        raise BuildError(
            f"{root} has no commit that git can read ({said}); build in a clone, or "
            f"without git by `pip wheel --no-deps .`"
        ) from exc


def version_of(root: Path) -> str:
    """Return the version that the commit declares, whatever stands in the folder.

    Raises `BuildError` where a tag of the commit contradicts it.
    """
    declared = git(root, "show", "HEAD:./pyproject.toml").decode()
    version: str = tomllib.loads(declared)["project"]["version"]
    tags = git(root, "tag", "--points-at", "HEAD").decode().split()
    if wrong := wrong_tags(tags, version):
        raise BuildError(
            f"the tag {wrong[0]} is not the version {version} of pyproject.toml; "
            f"change one of them"
        )
    return version


def remarks(root: Path, version: str) -> list[str]:
    """Return what a person should know before these files leave the house."""
    commit = git(root, "rev-parse", "--short", "HEAD").decode().strip()
    said = []
    tags = git(root, "tag", "--points-at", "HEAD").decode().split()
    if f"v{version}" not in tags:
        said.append(
            f"commit {commit} has no tag v{version}: another commit may have built "
            f"{version} too; to release, `git tag v{version}` and build again"
        )
    changed = git(root, "status", "--porcelain", "-z", ".").decode().split("\0")
    if names := [entry[3:] for entry in changed if entry]:
        said.append(
            f"{len(names)} changed or untracked files, such as {names[0]}, are not in "
            f"what was built; commit them if they belong there"
        )
    return said


def build(root: Path, dist: Path) -> list[str]:
    """Build wheel and sdist of the commit into a folder; return their names.

    Each is whole or absent there. Raises `BuildError`.
    """
    version_of(root)
    moment = int(git(root, "log", "-1", "--format=%ct"))
    tree = git(root, "-c", f"tar.umask={UMASK:04o}", "archive", "--format=tar", "HEAD")
    with TemporaryDirectory(prefix="her2sr-build-") as folder:
        source, made = Path(folder, "source"), Path(folder, "made")
        for place in (source, made):
            place.mkdir()
        unpack = ["tar", "-x", "-p", "--no-same-owner", "-C", str(source)]
        subprocess.run(unpack, input=tree, check=True)
        _setuptools(source, made, moment)
        for sdist in made.glob("*.tar.gz"):
            _steady(sdist, moment)
        dist.mkdir(parents=True, exist_ok=True)
        for path in sorted(made.iterdir()):
            beside = dist / f".{path.name}.partial-{os.getpid()}"
            try:
                beside.write_bytes(path.read_bytes())
                beside.replace(dist / path.name)
            finally:
                beside.unlink(missing_ok=True)
        return sorted(path.name for path in made.iterdir())


def _setuptools(source: Path, made: Path, moment: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(made)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(moment), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        umask=UMASK,
    )
    if done.returncode:
        raise BuildError(
            f"setuptools failed, nothing was built:\n{done.stderr.strip()}"
        )


def _steady(sdist: Path, moment: int) -> None:
    """Write an sdist anew in order of names, with one time and no owner.

    setuptools keeps times, owner and rights of the folder it was built in, and gzip
    the time of the call.
    """
    with tarfile.open(sdist) as tar:
        held = {member.name: member for member in tar.getmembers()}
        data = {
            name: file.read() for name in held if (file := tar.extractfile(held[name]))
        }
    with (
        sdist.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=moment) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(held):
            member = held[name]
            member.mtime, member.uid, member.gid = moment, 0, 0
            member.uname = member.gname = ""
            member.pax_headers = {}
            content = io.BytesIO(data[name]) if name in data else None
            tar.addfile(member, content)


def main() -> int:
    """Return 0 with both files in the folder named, 2 where nothing was built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", type=Path)
    dist = parser.parse_args().dist.resolve()
    try:
        names = build(ROOT, dist)
        said = remarks(ROOT, version_of(ROOT))
    except (BuildError, OSError) as exc:
        sys.stderr.write(f"error: {exc}\n")
        return 2
    for line in said:
        sys.stderr.write(f"note: {line}\n")
    for name in names:
        sys.stdout.write(f"{dist / name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
