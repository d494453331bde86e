"""Movies of every form behind one small face; none is ever loaded whole."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
import zarr

from her2sr_proc.errors import MovieError
from her2sr_proc.store import tiff
from her2sr_proc.store.pixels import (
    BROKEN,
    COUNTS,
    U16,
    as_counts,
    check_dtype,
    check_range,
    check_shape,
)
from her2sr_proc.store.raw import ARRAY
from her2sr_proc.store.unit_movie import UnitMovie


class FrameSource(Protocol):
    """A movie of camera counts."""

    shape: tuple[int, int, int]
    """Frames, height, width; none is zero."""
    dtype: np.dtype[Any]
    """uint16; float32 for a processed movie, where floats were asked for."""

    def read(self, start: int, stop: int) -> Any:  # noqa: ANN401 - U16 as a rule
        """Return frames ``start`` to ``stop`` - 1. Raises `MovieError`."""
        ...

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        ...


def open_movie(path: Path, *, floats: bool = False) -> FrameSource:
    """Open a TIFF, BigTIFF, OME-TIFF, folder of TIFF frames, .npy, .npz or OME-Zarr.

    A unit's raw frames in a run folder are compared with its ledger as they are read.
    With ``floats``, a TIFF or .npy may hold the float32 values of a processed movie.

    Raises `MovieError`, whose one sentence says what is wrong and what helps.
    """
    if not path.exists():
        raise MovieError(f"there is no movie {path}; check the path", path=str(path))
    try:
        unit = UnitMovie.find(path)
        if unit is not None:
            return unit
        if path.is_dir():
            is_zarr = any((path / n).exists() for n in ("zarr.json", ".zattrs"))
            return ZarrMovie(path) if is_zarr else tiff.TiffFolder(path, floats)
        suffix = path.suffix.lower()
        if suffix == ".npy":
            return NpyMovie(path, floats)
        if suffix == ".npz":
            return NpzMovie(path)
        if suffix in tiff.SUFFIXES:
            return tiff.TiffMovie(path, floats)
    except PermissionError as exc:
        raise MovieError(
            f"{path} may not be read by this user; change its permissions",
            path=str(path),
        ) from exc
    raise MovieError(
        f"{path} is no movie this program reads; convert it to TIFF, BigTIFF, "
        f"OME-TIFF, OME-Zarr, .npy or .npz",
        path=str(path),
    )


class NpyMovie:
    """An array file, mapped into memory page by page as it is read."""

    def __init__(self, path: Path, floats: bool = False) -> None:
        try:
            self._array: npt.NDArray[Any] | None = np.load(
                path, mmap_mode="r", allow_pickle=False
            )
        except BROKEN as exc:
            raise _unreadable(path, exc) from exc
        self.dtype = check_dtype(path, self._array.dtype, floats=floats)
        self.shape = check_shape(path, self._array.shape)

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return frames ``start`` to ``stop`` - 1."""
        check_range(start, stop, self.shape[0])
        if self._array is None:
            raise ValueError("the movie is closed")
        frames = self._array.reshape(self.shape)[start:stop]
        return np.ascontiguousarray(frames, self.dtype)

    def close(self) -> None:
        """Let go of the map. Safe to call twice."""
        self._array = None


class NpzMovie:
    """One array of a zip archive, unpacked as a stream: fast in order of frames."""

    dtype = COUNTS

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except BROKEN as exc:
            raise _unreadable(path, exc) from exc
        try:
            self._member = _choose_member(path, self._zip)
            self._stream, self.shape, self._stored = self._begin()
        except BROKEN as exc:
            self._zip.close()
            raise _unreadable(path, exc) from exc
        except MovieError:
            self._zip.close()
            raise
        self._next = 0

    def read(self, start: int, stop: int) -> U16:
        """Return frames ``start`` to ``stop`` - 1. Raises `MovieError`."""
        check_range(start, stop, self.shape[0])
        try:
            if start < self._next:
                self._stream.close()
                self._stream, _, _ = self._begin()
                self._next = 0
            while self._next < start:
                self._take(1)
            return self._take(stop - start)
        except BROKEN as exc:
            raise _unreadable(self._path, exc) from exc

    def close(self) -> None:
        """Close the archive. Safe to call twice."""
        self._stream.close()
        self._zip.close()

    def _begin(self) -> tuple[IO[bytes], tuple[int, int, int], np.dtype[Any]]:
        stream = self._zip.open(self._member)
        try:
            shape, dtype = self._read_header(stream)
            return stream, check_shape(self._path, shape), dtype
        except BaseException:
            stream.close()
            raise

    def _read_header(self, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read_header(stream)
        check_dtype(self._path, dtype)
        if is_fortran:
            raise MovieError(
                f"{self._path} is stored column by column; save it again with "
                f"numpy.ascontiguousarray",
                path=str(self._path),
            )
        return shape, dtype

    def _take(self, frames: int) -> U16:
        size = frames * self.shape[1] * self.shape[2] * self._stored.itemsize
        data = self._stream.read(size)
        if len(data) < size:
            raise ValueError("it ends before its last frame")
        self._next += frames
        flat = np.frombuffer(data, self._stored)
        return as_counts(flat.reshape(frames, *self.shape[1:]))


def _choose_member(path: Path, archive: zipfile.ZipFile) -> str:
    """Return the archive's only array, or the one called frames."""
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    if "frames.npy" in names:
        return "frames.npy"
    if len(names) == 1:
        return names[0]
    found = ", ".join(name.removesuffix(".npy") for name in names) or "none"
    raise MovieError(
        f"{path} must hold one array, or one called 'frames'; it holds: {found}",
        path=str(path),
    )


class ZarrMovie:
    """The array of one unit's OME-Zarr, read chunk by chunk."""

    dtype = COUNTS

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = zarr.open(str(path), mode="r")
            self._array: Any = found if isinstance(found, zarr.Array) else found[ARRAY]
            has_pixels = isinstance(self._array, zarr.Array)
        except (*BROKEN, zarr.errors.BaseZarrError, TypeError) as exc:
            raise _unreadable(path, exc) from exc
        if not has_pixels:
            raise MovieError(f"{path} has no image array '{ARRAY}'", path=str(path))
        check_dtype(path, self._array.dtype)
        self.shape = check_shape(path, self._array.shape)
        self._long = [
            n for n, length in enumerate(self._array.shape[:-2]) if length > 1
        ]

    def read(self, start: int, stop: int) -> U16:
        """Return frames ``start`` to ``stop`` - 1.

        Raises `MovieError` when one of them was never written: zarr would give zeros.
        """
        check_range(start, stop, self.shape[0])
        index: list[Any] = [0] * (self._array.ndim - 2)
        for axis in self._long or range(len(index))[:1]:
            index[axis] = slice(start, stop)
        try:
            frames = np.asarray(self._array[tuple(index)])
        except BROKEN as exc:
            raise _unreadable(self._path, exc) from exc
        frames = frames.reshape(stop - start, *self.shape[1:])
        self._refuse_missing(frames, start)
        return as_counts(frames)

    def close(self) -> None:
        """Do nothing: no file is kept open."""

    def _refuse_missing(self, frames: npt.NDArray[Any], start: int) -> None:
        # A camera has an offset: a chunk of nothing but the value that zarr gives for
        # a missing one was never written. A chunk may be a part of a frame.
        blank = frames == (self._array.fill_value or 0)
        down, right = self._array.chunks[-2:]
        for axis, step in ((-2, down), (-1, right)):
            tiles = np.arange(0, frames.shape[axis], step)
            blank = np.logical_and.reduceat(blank, tiles, axis=axis)
        missing = blank.reshape(len(frames), -1).any(axis=1)
        if missing.any():
            first = start + int(np.argmax(missing))
            before = f"localize the frames before it with --frames 0:{first}"
            raise MovieError(
                f"frame {first} of {self._path} was never written (the burst ended "
                f"early?); {before if first else 'copy it again'}",
                path=str(self._path),
            )


def _unreadable(path: Path, exc: Exception) -> MovieError:
    reason = str(exc).split("\n")[0] or type(exc).__name__
    return MovieError(
        f"{path} cannot be read ({reason}); copy or export it again", path=str(path)
    )
