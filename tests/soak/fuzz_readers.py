"""100,000 damaged inputs to every reader of what comes from outside.

Headers of blocks and questions as they come over ZeroMQ, tables and cohorts as CSV,
protocols and device configurations as YAML, movies as TIFF, and the zips of denoising
models and ImageJ outlines. Each input is a sound one with bits turned, cut off,
doubled, exchanged, or filled with what such files are known to carry. A reader may
answer, or raise one of the project's errors; it may not raise another, hang, end its
process, or leave a file outside its folder. Workers are processes of their own, so that
a crash or a hang is one finding and not the end. Ends with 1 when there is a finding.

    python tests/soak/fuzz_readers.py [--inputs 100000] [--seed 1] [--reader NAME]
"""

from __future__ import annotations

import argparse
import io
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import roifile
import tifffile
from pydantic import ValidationError

from her2sr_acq import config
from her2sr_acq.errors import AcqError
from her2sr_acq.plan import load
from her2sr_acq.stream.envelope import Answer, Question
from her2sr_proc.denoise.fiji import import_fiji
from her2sr_proc.denoise.model import read_model, write_model
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.block import BlockHeader, BlockKey
from her2sr_proc.schema.table import COLUMNS
from her2sr_proc.store.cohort import read_cohort
from her2sr_proc.store.counts_table import read_counts
from her2sr_proc.store.frames import open_movie
from her2sr_proc.store.regions import read_labels
from her2sr_proc.store.tables import read_table
from her2sr_proc.wire import decode, encode

DEADLINE_S = 20.0
BATCH = 250
MEMORY_BYTES = 6 << 30
"""Address space of a worker: what asks for more has believed a file's own words."""
SHARED = Path(__file__).parents[3] / "shared" / "data"
PIECES = (
    b"", b"\x00", b"\xff" * 8, b"nan", b"inf", b"-1", b"1e999", b"9" * 20,
    b"../../outside", b"/outside", b"\xef\xbb\xbf", b"\r\n", b'"', b",", b"{", b"[",
    b"]", b"}", b"&a [*a]", b"!!python/object/apply:os.system [x]", b"null", b"true",
    b"\\u0000", "\u202e".encode(), b"\xc3\x28", b"%s", b"0x7fffffff",
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """What is fed, and the sound inputs that damage starts from."""

    name: str
    suffix: str
    """Of the file an input is written to; empty: bytes are given as they are."""
    read: Callable[[Path | bytes], object]
    sound: tuple[bytes, ...]
    is_archive: bool = False


def damaged(sound: bytes, rng: np.random.Generator) -> bytes:
    """Return a sound input with one to four wounds."""
    data = bytearray(sound)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(data) + 1))
        kind = int(rng.integers(0, 7))
        if kind == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = PIECES[int(rng.integers(0, len(PIECES)))]
        elif kind == 3:
            end = min(len(data), at + int(rng.integers(1, 64)))
            data[at:at] = data[at:end]
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 64))]
        elif kind == 5:
            data[at : at + 8] = rng.bytes(8)
        else:
            piece = PIECES[int(rng.integers(0, len(PIECES)))]
            data[at : at + len(piece)] = piece
    return bytes(data)


def damaged_archive(sound: bytes, rng: np.random.Generator) -> bytes:
    """Return a zip whose members were damaged, renamed, dropped or doubled."""
    if rng.random() < 0.3:
        return damaged(sound, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        chosen = names[int(rng.integers(0, len(names)))]
        for name in names:
            data, called = old.read(name), name
            if name == chosen:
                kind = int(rng.integers(0, 5))
                if kind == 0:
                    continue
                if kind == 1:
                    called = ("../", "/", "..\\", "C:\\", "")[int(rng.integers(0, 5))]
                    called += name
                if kind == 2:
                    new.writestr(name, data)
                if kind >= 2:
                    data = damaged(data, rng)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile's word on doubled names
                new.writestr(called, data)
    return out.getvalue()


def movie(path: Path | bytes) -> None:
    """Read a movie as far as it says it goes, and no farther than a few frames."""
    source = open_movie(Path(str(path)))
    source.read(0, min(3, source.shape[0]))


def readers() -> tuple[Reader, ...]:
    """Return every reader with its sound inputs."""
    header = BlockHeader(
        key=BlockKey(run="r1", field="r00_c00", channel="561", block=0),
        first_frame=0,
        frames=3,
        height=8,
        width=8,
        t_s=(0.0, 0.03, 0.06),
    )
    parts = encode(header, np.zeros(header.shape, np.uint16))
    pixels = bytes(parts[1])
    protocols = Path(load.__file__).parent / "presets"
    packaged = config.resolve("simulated")
    return (
        Reader("block header", "", lambda b: decode((b, pixels)), (bytes(parts[0]),)),
        Reader("block pixels", "", lambda b: decode((parts[0], b)), (pixels,)),
        Reader(
            "question",
            "",
            Question.model_validate_json,
            (
                Question(verb="run", body={"run": "a", "n": 1})
                .model_dump_json()
                .encode(),
            ),
        ),
        Reader(
            "answer", "", Answer.model_validate_json, (b'{"ok":true,"body":{"a":1}}',)
        ),
        Reader("table", ".csv", read_table, (THUNDERSTORM, _native())),
        Reader("counts", ".csv", lambda p: read_counts(p, "sr_merged"), (COUNTS,)),
        Reader("cohort", ".csv", read_cohort, (COHORT,)),
        Reader(
            "protocol",
            ".yaml",
            load.read,
            tuple(p.read_bytes() for p in sorted(protocols.glob("*.yaml"))),
        ),
        Reader("device configuration", ".yaml", config.load, (packaged.read_bytes(),)),
        Reader("movie", ".tif", movie, (_tiff(big=False), _tiff(big=True))),
        Reader("labels", ".tif", lambda p: read_labels(p, (24, 24)), (_labels(),)),
        Reader(
            "outlines", ".zip", lambda p: read_labels(p, (64, 64)), (_rois(),), True
        ),
        Reader("outlines", ".geojson", lambda p: read_labels(p, (64, 64)), (GEOJSON,)),
        *_models(),
    )


THUNDERSTORM = (
    b'"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]",'
    b'"offset [photon]","bkgstd [photon]","uncertainty [nm]"\n'
    b"1.0,1.0,500.5,600.25,120.0,700.0,50.0,7.5,12.0\n2.0,2.0,1,2,3,4,5,6,7\n"
)
COUNTS = (
    b"run,field,nucleus,her2_sr_merged,cep17_sr_merged\n"
    b"a,r00_c00,1,4,2\na,r00_c00,2,3,2\n"
)
COHORT = b"sample,status,her2_sr_signals\ns1,positive,80\ns2,negative,40\n"
GEOJSON = (
    b'{"type":"FeatureCollection","features":[{"type":"Feature","properties":{},'
    b'"geometry":{"type":"Polygon","coordinates":[[[1,1],[20,1],[20,20],[1,20],[1,1]]]}}]}'
)


def _native() -> bytes:
    names = ",".join(column.name for column in COLUMNS)
    return f"{names}\n{','.join('1' for _ in COLUMNS)}\n".encode()


def _tiff(*, big: bool) -> bytes:
    out = io.BytesIO()
    frames = np.arange(3 * 24 * 24, dtype=np.uint16).reshape(3, 24, 24)
    tifffile.imwrite(out, frames, bigtiff=big, photometric="minisblack")
    return out.getvalue()


def _labels() -> bytes:
    out = io.BytesIO()
    labels = np.zeros((24, 24), np.uint16)
    labels[4:12, 4:12] = 1
    tifffile.imwrite(out, labels, photometric="minisblack")
    return out.getvalue()


def _rois() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in range(3):
            corners = np.array([[4, 4], [20, 4], [20, 20], [4, 20]]) + n * 12
            roi = roifile.ImagejRoi.frompoints(corners.astype(np.float32))
            archive.writestr(f"{n}.roi", roi.tobytes())
    return out.getvalue()


def _models() -> tuple[Reader, ...]:
    """Return the readers of models; none where the test data is absent."""
    fiji = SHARED / "n2v_fiji_model.zip"
    if not fiji.exists():
        print(f"{fiji} is absent: zips of models are not fed")
        return ()
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "model.zip"
        write_model(ours, import_fiji(fiji)[0], at=datetime(2026, 1, 1, tzinfo=UTC))
        native = ours.read_bytes()
    return (
        Reader("model", ".zip", read_model, (native,), True),
        Reader("model of Fiji", ".zip", import_fiji, (fiji.read_bytes(),), True),
    )


def work(
    reader: Reader, first: int, last: int, seed: int, folder: Path, told: Connection
) -> None:
    """Feed inputs ``first`` to ``last`` to a reader, and tell of each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # tifffile speaks of every wound
    path = folder / f"input{reader.suffix}"
    for n in range(first, last):
        rng = np.random.default_rng((seed, n))
        sound = reader.sound[int(rng.integers(0, len(reader.sound)))]
        data = (damaged_archive if reader.is_archive else damaged)(sound, rng)
        if reader.suffix:
            path.write_bytes(data)
        told.send((n, "begun", ""))
        try:
            reader.read(path if reader.suffix else data)
        except (ProcError, AcqError, ValidationError):
            told.send((n, "refused", ""))
        except BaseException:  # noqa: BLE001 - what else comes is the finding
            told.send((n, "fault", traceback.format_exc(limit=-3)))
        else:
            told.send((n, "read", ""))
    told.send((last, "end", ""))


def feed(reader: Reader, count: int, seed: int, counts: Counter[str]) -> Iterator[str]:
    """Feed a reader ``count`` inputs, and yield each finding as a text."""
    name = f"{reader.name}{reader.suffix}"
    context = multiprocessing.get_context("fork")
    at = 0
    with tempfile.TemporaryDirectory(prefix="her2sr-fuzz-") as place:
        inside = Path(place) / "a" / "b"
        inside.mkdir(parents=True)
        while at < count:
            ours, theirs = context.Pipe(duplex=False)
            last = min(count, at + BATCH)
            worker = context.Process(
                target=work, args=(reader, at, last, seed, inside, theirs)
            )
            worker.start()
            theirs.close()
            while True:
                try:
                    n, what, text = (
                        ours.recv() if ours.poll(DEADLINE_S) else (at, "hang", "")
                    )
                except EOFError:
                    n, what, text = at, "crash", ""
                if what == "end":
                    at = last
                    break
                if what in ("hang", "crash"):
                    worker.kill()
                    counts[what] += 1
                    yield f"{name}, input {n}: {what}"
                    at = n + 1
                    break
                if what == "begun":
                    at = n
                    continue
                counts[what] += 1
                at = n + 1
                if what == "fault":
                    yield f"{name}, input {n}: {text}"
            worker.join(DEADLINE_S)
            ours.close()
            for stray in strays(Path(place), inside, reader.suffix):
                counts["stray"] += 1
                stray.unlink()
                yield f"{name}, inputs to {at}: {stray.name} was left outside"


def require_sound(reader: Reader) -> None:
    """Read what is not damaged: a reader that refuses it is fed nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"input{reader.suffix}"
        for sound in reader.sound:
            path.write_bytes(sound)
            reader.read(path if reader.suffix else sound)


def strays(place: Path, inside: Path, suffix: str) -> list[Path]:
    """Return files that no reader had any reason to write."""
    mine = inside / f"input{suffix}"
    return [p for p in place.rglob("*") if p.is_file() and p != mine]


def main() -> int:
    """Feed, print, and say by the exit code whether anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader", default="", help="only those whose name has this")
    options = parser.parse_args()
    chosen = [r for r in readers() if options.reader in r.name + r.suffix]
    share = -(-options.inputs // max(len(chosen), 1))
    findings = 0
    for reader in chosen:
        began, counts = time.monotonic(), Counter[str]()
        require_sound(reader)
        for finding in feed(reader, share, options.seed, counts):
            findings += 1
            if findings <= 20:
                print(finding, flush=True)
        print(
            f"{reader.name}{reader.suffix}: {share} inputs, {counts['read']} read, "
            f"{counts['refused']} refused, {counts['fault']} faults, {counts['crash']} "
            f"crashes, {counts['hang']} hangs, {counts['stray']} files outside, "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
    print(f"{share * len(chosen)} inputs, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
