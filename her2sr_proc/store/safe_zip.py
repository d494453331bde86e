"""Zips of strangers: read member by member into memory, never unpacked to disk.

A member's stated size has a bound and is held to; names that lead out are refused,
although nothing is written under them, since whoever made them meant harm.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path, PurePosixPath

from her2sr_proc.errors import ModelError

LARGEST_MEMBER = 256 * 2**20
"""Bytes; a published model's largest has 4 MB."""
LARGEST_TOTAL = 1024 * 2**20
MOST_MEMBERS = 1000


class SafeZip:
    """An archive whose members are read on request."""

    def __init__(self, source: Path | bytes, name: str) -> None:
        self.name = name
        """For messages."""
        try:
            handle = io.BytesIO(source) if isinstance(source, bytes) else source
            self._zip = zipfile.ZipFile(handle)
            members = self._zip.infolist()
        except (OSError, ValueError, zipfile.BadZipFile) as exc:
            raise ModelError(
                f"{name} cannot be read as a zip; copy or export it again"
            ) from exc
        try:
            self._refuse_hostile(members)
        except ModelError:
            self._zip.close()
            raise

    @property
    def members(self) -> list[str]:
        """Return the names of files, in order."""
        return [m.filename for m in self._zip.infolist() if not m.is_dir()]

    def read(self, member: str) -> bytes:
        """Return a file of the archive. Raises `ModelError` when it is not there."""
        try:
            info = self._zip.getinfo(member)
            with self._zip.open(info) as stream:
                data = stream.read(LARGEST_MEMBER + 1)
        except KeyError:
            raise ModelError(
                f"{self.name} holds no '{member}'; it is no model of the expected form"
            ) from None
        except (
            EOFError,
            NotImplementedError,
            OSError,
            RuntimeError,
            ValueError,
            zipfile.BadZipFile,
        ) as exc:
            raise ModelError(
                f"'{member}' in {self.name} cannot be unpacked; copy or export it again"
            ) from exc
        except Exception as exc:  # the decompressors have errors of their own
            if type(exc).__name__ not in ("error", "LZMAError"):
                raise
            raise ModelError(
                f"'{member}' in {self.name} is damaged; copy or export it again"
            ) from exc
        if len(data) != info.file_size:
            raise ModelError(
                f"'{member}' in {self.name} is not of the size that is stated; "
                f"copy or export it again"
            )
        return data

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._zip.close()

    def __enter__(self) -> SafeZip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_hostile(self, members: list[zipfile.ZipInfo]) -> None:
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            is_drive = ":" in "".join(path.parts[:1])
            if path.is_absolute() or ".." in path.parts or is_drive:
                raise ModelError(
                    f"{self.name} names a path outside itself ({member.filename!r}); "
                    f"do not use this file"
                )
        largest = max((m.file_size for m in members), default=0)
        total = sum(m.file_size for m in members)
        if (
            largest > LARGEST_MEMBER
            or total > LARGEST_TOTAL
            or len(members) > MOST_MEMBERS
        ):
            raise ModelError(
                f"{self.name} would unpack to {total / 2**20:.0f} MB in "
                f"{len(members)} files, more than any such model; do not use this file"
            )
