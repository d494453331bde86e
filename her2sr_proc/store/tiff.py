"""Movies in TIFF: stacks of pages (classic, Big, OME, ImageJ) and folders of frames.

Pages are read when they are asked for. A file that was cut off is refused when it is
opened, as far as its directory and its last page show it.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile

from her2sr_proc.errors import MovieError
from her2sr_proc.store.pixels import (
    check_dtype,
    check_range,
    check_shape,
)

SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
_BAD_TAGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
)
"""What tifffile stumbles into when a tag is damaged: it believes what it reads."""
READ_ERRORS = (
    *_BAD_TAGS,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)


class TiffMovie:
    """One file, its pages as frames."""

    def __init__(self, path: Path, floats: bool = False) -> None:
        self._path = path
        self._floats = floats
        check_directory(path)
        try:
            self._file = tifffile.TiffFile(path)
        except READ_ERRORS as exc:
            raise _unreadable(path, exc) from exc
        try:
            self._pages = self._find_pages()
            self.shape = check_shape(path, self._pages.shape)
            self.dtype = self._pages.dtype
            self._pages.check_end()
        except READ_ERRORS as exc:
            self._file.close()
            raise _unreadable(path, exc) from exc
        except MovieError:
            self._file.close()
            raise

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return frames ``start`` to ``stop`` - 1. Raises `MovieError`."""
        check_range(start, stop, self.shape[0])
        return self._pages.read(start, stop)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._file.close()

    def _find_pages(self) -> _Pages | _Plane:
        first = self._file.pages.first
        if _are_planes_frames(self._file):
            stored = np.dtype(first.dtype).newbyteorder(self._file.byteorder)
            shape = (first.samplesperpixel, *first.shape[-2:])
            return _Plane(self._path, shape, stored, first.dataoffsets[0])
        if first.samplesperpixel > 1 or first.photometric.name == "PALETTE":
            raise MovieError(
                f"{self._path} is a colour image ({first.photometric.name}); camera "
                f"counts have one sample a pixel: export the raw movie in grey",
                path=str(self._path),
            )
        dtype = check_dtype(self._path, first.dtype, floats=self._floats)
        there, claimed = len(self._file.pages), _claimed(self._file)
        if 1 < there < claimed:
            raise _cut_off(self._path, f"{there} of {claimed} frames are there")
        series = self._file.series[0]
        frames = series.shape[:-2] if len(series.shape) > 2 else (1,)
        is_stack = self._file.is_ome or self._file.is_imagej
        pages = list(series.pages) if is_stack else list(self._file.pages)
        if len(pages) == 1 and np.prod(frames) > 1 and series.dataoffset is not None:
            # ImageJ writes stacks over 4 GB as one page with all pixels behind it.
            return _Plane(self._path, series.shape, series.dtype, series.dataoffset)
        claimed = claimed if self._file.is_imagej else len(pages)
        if is_stack and not len(pages) == np.prod(frames) == claimed:
            raise _cut_off(self._path, f"{len(pages)} of {claimed} frames are there")
        shape = series.shape if is_stack else (len(pages), *first.shape)
        return _Pages(self._path, pages, shape, dtype)


def _are_planes_frames(file: tifffile.TiffFile) -> bool:
    """Return whether what a file calls one colour image is a movie of 3 or 4 frames.

    tifffile, told nothing of colour, takes so many frames of 8 or 16 bit for planes of
    red, green and blue. Colour pictures hold the samples of a pixel together.
    """
    first = file.pages.first
    return bool(
        len(file.pages) == 1
        and first.photometric.name == "RGB"
        and first.planarconfig.name == "SEPARATE"
        and first.samplesperpixel in (3, 4)
        and first.is_contiguous
        and str(first.software).startswith("tifffile")
    )


class _Pages:
    """Frames as pages of their own."""

    def __init__(
        self,
        path: Path,
        pages: Sequence[Any],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._path = path
        self._pages = pages
        self.dtype = dtype
        self.shape = shape

    def check_end(self) -> None:
        """Raise `MovieError` when the last page's pixels are not all there."""
        self._check_extent(len(self._pages) - 1)

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        out = np.empty((stop - start, *self.shape[-2:]), self.dtype)
        for index in range(start, stop):
            try:
                self._check_extent(index)
                frame = self._pages[index].asarray()
            except READ_ERRORS as exc:
                raise _unreadable(self._path, exc, f"page {index + 1} of ") from exc
            if frame.shape != out.shape[1:]:
                raise MovieError(
                    f"page {index + 1} of {self._path} has {frame.shape} pixels, the "
                    f"first {out.shape[1:]}: a movie has frames of one size",
                    path=str(self._path),
                )
            floats = self.dtype.kind == "f"
            if check_dtype(self._path, frame.dtype, floats=floats) != self.dtype:
                raise MovieError(
                    f"page {index + 1} of {self._path} holds {frame.dtype.name} "
                    f"pixels, the first {self.dtype.name}: a movie has one kind",
                    path=str(self._path),
                )
            out[index - start] = frame
        return out

    def _check_extent(self, index: int) -> None:
        page = self._pages[index]
        if page is None:
            raise _cut_off(self._path, f"page {index + 1} is missing")
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)))
        if end > os.fstat(page.parent.filehandle.fileno()).st_size:
            raise _cut_off(self._path, f"page {index + 1} ends behind the file's end")


class _Plane:
    """Frames as one run of pixels."""

    def __init__(
        self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int
    ) -> None:
        self._path = path
        self._stored = dtype
        self.dtype = check_dtype(path, dtype, floats=dtype.kind == "f")
        self._offset = offset
        self.shape = shape

    def check_end(self) -> None:
        """Raise `MovieError` when the pixels are not all there."""
        wanted = int(np.prod(self.shape)) * self._stored.itemsize
        if self._offset + wanted > self._path.stat().st_size:
            raise _cut_off(self._path, f"{self.shape} pixels do not fit in it")

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        pixels = self.shape[-2] * self.shape[-1]
        count = (stop - start) * pixels
        skipped = self._offset + start * pixels * self._stored.itemsize
        flat = np.fromfile(self._path, self._stored, count, offset=skipped)
        if flat.size < count:
            raise _cut_off(self._path, "its last frames are missing")
        return np.ascontiguousarray(flat.reshape(-1, *self.shape[-2:]), self.dtype)


class TiffFolder:
    """A folder with one frame a file, in natural order of the names."""

    def __init__(self, path: Path, floats: bool = False) -> None:
        self._floats = floats
        self._files = frame_files(path)
        if not self._files:
            raise MovieError(
                f"{path} holds neither TIFF frames nor an OME-Zarr; name a movie file, "
                f"a folder of TIFF frames or a unit's .ome.zarr",
                path=str(path),
            )
        first = self._frame(0)
        height, width = first.shape
        self.dtype = first.dtype
        self.shape = (len(self._files), height, width)

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return frames ``start`` to ``stop`` - 1. Raises `MovieError`."""
        check_range(start, stop, self.shape[0])
        frames = [self._frame(index) for index in range(start, stop)]
        for index, frame in enumerate(frames, start):
            if frame.shape != self.shape[1:]:
                raise MovieError(
                    f"{self._files[index]} has {frame.shape} pixels, the first frame "
                    f"{self.shape[1:]}: a movie has frames of one size",
                    path=str(self._files[index]),
                )
            if frame.dtype != self.dtype:
                raise MovieError(
                    f"{self._files[index]} holds {frame.dtype.name} pixels, the first "
                    f"frame {self.dtype.name}: a movie has one kind",
                    path=str(self._files[index]),
                )
        return np.stack(frames)

    def close(self) -> None:
        """Do nothing: no file is kept open."""

    def _frame(self, index: int) -> npt.NDArray[Any]:
        movie = TiffMovie(self._files[index], self._floats)
        try:
            if movie.shape[0] != 1:
                raise MovieError(
                    f"{self._files[index]} holds {movie.shape[0]} frames; in a folder "
                    f"each file is one frame: name the file itself, or split it",
                    path=str(self._files[index]),
                )
            frame: npt.NDArray[Any] = movie.read(0, 1)[0]
            return frame
        finally:
            movie.close()


def frame_files(folder: Path) -> list[Path]:
    """Return the TIFF files of a folder in natural order of their names."""
    return sorted((f for f in folder.iterdir() if _is_frame(f)), key=natural)


def _claimed(file: tifffile.TiffFile) -> int:
    """Return how many frames a stack of ImageJ or of tifffile says it has; else 0."""
    if file.is_imagej:
        return int((file.imagej_metadata or {}).get("images", 1))
    shapes = file.shaped_metadata or ()
    return sum(math.prod(entry["shape"][:-2]) for entry in shapes)


def _is_frame(path: Path) -> bool:
    # macOS puts a hidden ._name.tif beside every file on a share.
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def natural(path: Path) -> list[tuple[int, str]]:
    """Sort img_10 after img_9."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(p), "") if p.isdigit() else (-1, p) for p in parts]


def check_directory(path: Path) -> None:
    """Walk the chain of page directories; raise `MovieError` when it leaves the file.

    tifffile takes a chain that ends early for a shorter movie.
    """
    size = path.stat().st_size
    if size == 0:
        raise MovieError(f"{path} is empty (0 bytes); copy or export it again")
    with path.open("rb") as file:
        try:
            _walk(file)
        except (struct.error, OSError) as exc:
            raise _cut_off(path, "its page directory leads out of the file") from exc
        except ValueError as exc:
            raise _unreadable(path, exc) from exc


def _walk(file: BinaryIO) -> None:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("not a TIFF file")
    is_big = struct.unpack_from(order + "H", head, 2)[0] == 43
    count_form, entry, next_form = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    offset = struct.unpack_from(order + next_form, head, 8 if is_big else 4)[0]
    if not offset:
        raise ValueError("it holds no page")
    seen = set()
    while offset:
        if offset in seen:
            raise ValueError("its page directory runs in a circle")
        seen.add(offset)
        file.seek(offset)
        count_size = struct.calcsize(count_form)
        entries = struct.unpack(order + count_form, file.read(count_size))[0]
        file.seek(offset + count_size + entries * entry)
        offset = struct.unpack(
            order + next_form, file.read(struct.calcsize(next_form))
        )[0]


def _unreadable(path: Path, exc: Exception, where: str = "") -> MovieError:
    reason = str(exc).split("\n")[0] or type(exc).__name__
    if isinstance(exc, _BAD_TAGS):
        reason = "its tags cannot be true"
    return MovieError(
        f"{where}{path} cannot be read as TIFF ({reason}); copy or export it again",
        path=str(path),
    )


def _cut_off(path: Path, detail: str) -> MovieError:
    return MovieError(
        f"{path} is truncated: {detail}; copy or export it again", path=str(path)
    )
