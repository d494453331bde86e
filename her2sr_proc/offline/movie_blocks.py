"""Blocks of a movie -> tables on disk, one a block; what stands there is kept.

A call that is killed loses the blocks under way and no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from her2sr_proc.burst import Aside, BlockLocalizer, Denoise, new_localizer
from her2sr_proc.errors import DataError
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.movie import LeftFacts, MovieOrder, finite
from her2sr_proc.schema.params import Profile
from her2sr_proc.schema.table import Localizations
from her2sr_proc.schema.times import StepTime, summed
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.frames import FrameSource
from her2sr_proc.store.movie_folder import MovieFolder
from her2sr_proc.store.tables import (
    count_parquet,
    read_parquet,
    read_parquet_metadata,
    write_parquet,
    write_parquet_parts,
)
from her2sr_proc.threshold import Left

U16 = npt.NDArray[np.uint16]
Progress = Callable[[int, int], None]
AHEAD = 2
"""Blocks read ahead of every thread; no more of the movie is ever in memory."""
STEPS_KEY, LEFT_KEY = "steps", "left"
_STEPS = TypeAdapter(tuple[StepTime, ...])


@dataclass(frozen=True, slots=True)
class Way:
    """How the frames of a movie become rows."""

    order: MovieOrder
    profile: Profile
    camera: CameraMaps
    denoise: Denoise | None = None

    def localizer(
        self, watch: Stopwatch, told: Callable[[Left], None]
    ) -> BlockLocalizer:
        """Return a localizer of its own. Raises as `new_localizer`."""
        return new_localizer(
            self.camera,
            pixel_nm=self.order.camera.pixel_nm,
            params=self.order.localize,
            cleaning=self.profile.cleaning,
            channel=self.order.channel,
            aside=Aside(self.denoise, watch, told),
        )

    def blocks(self) -> Iterator[range]:
        """Yield the frames of every block."""
        total, length = self.order.movie.frames, self.order.block_frames
        for first in range(0, total, length):
            yield range(first, min(first + length, total))


_Done = tuple[Localizations, tuple[StepTime, ...], LeftFacts]


class _Worker:
    """Localizes blocks in any thread, each with its own times."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._idle: deque[tuple[BlockLocalizer, Stopwatch, list[Left]]] = deque()
        self._idle.append(self._new())  # refuses now what would be refused later

    def _new(self) -> tuple[BlockLocalizer, Stopwatch, list[Left]]:
        watch, told = Stopwatch(), list[Left]()
        return self._way.localizer(watch, told.append), watch, told

    def __call__(self, adu: U16, first: int) -> _Done:
        try:
            localizer, watch, told = self._idle.pop()
        except IndexError:
            localizer, watch, told = self._new()
        table = localizer.block(adu, first_frame=first)
        left = _facts(told)
        told.clear()
        steps = watch.take()
        self._idle.append((localizer, watch, told))
        return table, steps, left


def _facts(told: list[Left]) -> LeftFacts:
    total = Left()
    for left in told:
        total.add(left)
    return LeftFacts(
        frames=total.frames,
        empty_frames=total.empty_frames,
        pixels=total.pixels,
        lowest_adu=finite(total.lowest_adu),
        highest_adu=finite(total.highest_adu),
    )


class BlockCrew:
    """Makes the parts of a movie that are missing, several at once."""

    def __init__(self, way: Way, folder: MovieFolder, *, jobs: int) -> None:
        """Raises `RequestError` for a way that does not suit the movie."""
        self._way, self._folder, self._jobs = way, folder, jobs
        self._worker = _Worker(way)

    def make(self, movie: FrameSource, progress: Progress) -> int:
        """Make what is missing; return the frames that stood there already.

        Raises `MovieError` for frames that cannot be read.
        """
        total = self._way.order.movie.frames
        missing = [b for b in self._way.blocks() if not self._stands(b)]
        done = stood = total - sum(map(len, missing))
        waiting: deque[tuple[range, tuple[StepTime, ...], Future[_Done]]] = deque()

        def collect() -> int:
            block, loaded, future = waiting.popleft()
            self._store(block, loaded, *future.result())
            return len(block)

        progress(done, total)
        with ThreadPoolExecutor(self._jobs, "localize") as pool:
            for block in missing:
                loading = Stopwatch()
                with loading.step("load"):
                    adu = movie.read(block.start, block.stop)
                future = pool.submit(self._worker, adu, block.start)
                waiting.append((block, loading.steps(), future))
                if len(waiting) >= AHEAD * self._jobs:
                    done += collect()
                    progress(done, total)
            while waiting:
                done += collect()
                progress(done, total)
        return stood

    def join(self, metadata: dict[str, str]) -> None:
        """Write the table of the whole movie from its parts, a few at a time."""
        paths = [self._folder.part(block.start) for block in self._way.blocks()]
        facts = [part_facts(read_parquet_metadata(path)) for path in paths]
        left = LeftFacts()
        for _, one in facts:
            left = left.plus(one)
        said = metadata | _said(summed(*(steps for steps, _ in facts)), left)
        tables = (read_parquet(path)[0] for path in paths)
        write_parquet_parts(self._folder.table, tables, said)

    def _stands(self, block: range) -> bool:
        path = self._folder.part(block.start)
        if not path.exists():
            return False
        try:
            count_parquet(path)
            part_facts(read_parquet_metadata(path))
        except DataError:  # torn by a failing disk: made anew
            return False
        return True

    def _store(
        self,
        block: range,
        loaded: tuple[StepTime, ...],
        table: Localizations,
        steps: tuple[StepTime, ...],
        left: LeftFacts,
    ) -> None:
        said = _said(summed(loaded, steps), left)
        write_parquet(self._folder.part(block.start), table, said)


def part_facts(
    metadata: dict[str, str],
) -> tuple[tuple[StepTime, ...], LeftFacts]:
    """Return what a table says of its making. Raises `DataError`."""
    try:
        steps = _STEPS.validate_json(metadata[STEPS_KEY])
        return steps, LeftFacts.model_validate_json(metadata[LEFT_KEY])
    except (KeyError, ValidationError) as exc:
        raise DataError(
            "a table does not say how it was made; remove it and process again"
        ) from exc


def _said(steps: tuple[StepTime, ...], left: LeftFacts) -> dict[str, str]:
    return {
        STEPS_KEY: _STEPS.dump_json(steps).decode(),
        LEFT_KEY: left.model_dump_json(),
    }
