"""A run folder in an object store (S3 through fsspec), fetched and given back by parts.

An object is whole or absent, so results are as atomic there as renamed files are here.
Credentials and endpoint come from where the store's own tools look for them
(environment, ``~/.aws``); none is taken from a command line.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from her2sr_proc.errors import RequestError, StateError, WriteError
from her2sr_proc.store.atomic import make_folder

SCHEME = "s3://"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the scratch folder says, and no store does."""
LAST = "results/result.json"
"""How the name ends, of whichever profile, of what tells readers that all the rest is
there: given back after it."""
_URL = re.compile(r"s3://[^/?#\s]+(/+[^/?#\s][^/?#]*)+/*")


def is_remote(text: str) -> bool:
    """Return whether a run is named by a URL of an object store."""
    return text.startswith(SCHEME)


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """One run folder below a URL such as ``s3://bucket/runs/RUN_ID``."""

    url: str

    def __post_init__(self) -> None:
        """Raise `RequestError` for what names no folder of a bucket."""
        parts = self.url.removeprefix(SCHEME).split("/")
        if not _URL.fullmatch(self.url) or {".", ".."} & set(parts):
            raise RequestError(
                f"'{self.url}' names no run folder in an object store; say "
                f"s3://BUCKET/FOLDER/RUN_ID"
            )

    @property
    def name(self) -> str:
        """The run's id: the last part of the URL."""
        return PurePosixPath(self._prefix).name

    @property
    def _prefix(self) -> str:
        return self.url.removeprefix(SCHEME).strip("/")

    def top(self) -> list[str]:
        """Return what stands in the run folder itself, its folders with a slash.

        Raises `StateError` as `fetch`.
        """
        store = self._store()
        with self._told("read"):
            return [
                PurePosixPath(one["name"]).name + "/" * (one["type"] == "directory")
                for one in store.ls(self._prefix, detail=True)
            ]

    def fetch(self, scratch: Path, below: Iterable[str]) -> dict[str, str]:
        """Copy objects whose names begin with one of ``below`` under ``scratch``.

        Returns the SHA-256 of every file fetched, by its name in the run folder.
        Raises `StateError` when the store does not answer or may not be read,
        `OSError` when there is no room under ``scratch``.
        """
        store = self._store()
        found: dict[str, str] = {}
        with self._told("read"):
            for start in below:
                for name in self._names(store, start):
                    target = scratch / name
                    make_folder(target.parent)
                    store.get_file(f"{self._prefix}/{name}", str(target))
                    found[name] = _digest(target)
        return found

    def give_back(self, scratch: Path, fetched: dict[str, str]) -> list[str]:
        """Write every file that is new or differs from what was fetched.

        What was fetched and is gone here goes there too, after that. Returns the names
        of what was written. Raises `WriteError`.
        """
        files = {
            str(path.relative_to(scratch)): path
            for path in sorted(scratch.rglob("*"))
            if path.is_file()
        }
        changed = [n for n, p in files.items() if fetched.get(n) != _digest(p)]
        changed.sort(key=lambda name: (name.endswith(LAST), name))
        store = self._store()
        with self._told("written"):
            for name in changed:
                store.put_file(str(files[name]), f"{self._prefix}/{name}")
            for name in sorted(fetched.keys() - files.keys()):
                store.rm_file(f"{self._prefix}/{name}")
        return changed

    def _names(self, store: Any, start: str) -> Iterator[str]:  # noqa: ANN401
        """Yield names of objects below the run that begin with ``start``."""
        folder, _, begun = start.rpartition("/")
        root = f"{self._prefix}/{folder}".rstrip("/")
        # by the store: a run has very many objects, and few begin so
        for path in sorted(store.find(root, prefix=begun)):
            name = path[len(self._prefix) + 1 :]
            if name.startswith(start) and ".." not in PurePosixPath(name).parts:
                yield name

    def _store(self) -> Any:  # noqa: ANN401 - fsspec ships no usable types
        try:
            import fsspec

            # listings are never taken from memory: other workers write meanwhile
            return fsspec.filesystem("s3", use_listings_cache=False)
        except ImportError as exc:
            raise RequestError(
                "runs in an object store need the extra 'cluster'; install it with "
                "pip install 'her2sr[cluster]'"
            ) from exc

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        """Turn what the store says into one sentence."""
        try:
            yield
        except Exception as exc:  # of botocore, aiohttp and fsspec: all mean the same
            if isinstance(exc, OSError) and exc.errno in FULL:
                raise
            why = str(exc).strip().split("\n")[0] or type(exc).__name__
            sentence = (
                f"{self.url} could not be {verb} ({why}); check the address, the "
                f"network and the credentials"
            )
            kind = StateError if verb == "read" else WriteError
            raise kind(sentence) from exc


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
