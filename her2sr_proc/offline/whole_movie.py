"""A movie by one profile: frames -> tables -> pictures -> a summary.

Every step writes whole files and is not done again where they stand, so that a call
goes on where an earlier one was ended, however it was.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from her2sr_proc.camera_noise import CameraNoise
from her2sr_proc.errors import DataError
from her2sr_proc.offline.after_fit import AfterTheFit, Frame
from her2sr_proc.offline.beginning import begin, require_room
from her2sr_proc.offline.movie_blocks import BlockCrew, Way, part_facts
from her2sr_proc.rendering import render_parts, rendered_shape
from her2sr_proc.schema.movie import (
    AfterFit,
    LeftFacts,
    MovieSummary,
)
from her2sr_proc.schema.table import Localizations
from her2sr_proc.schema.times import StepTime, Times, summed
from her2sr_proc.stopwatch import Stopwatch
from her2sr_proc.store.atomic import make_folder, telling
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.frames import FrameSource
from her2sr_proc.store.holding import held
from her2sr_proc.store.images import PreviewStyle, write_preview, write_tiff
from her2sr_proc.store.movie_folder import (
    Kind,
    MovieFolder,
    read_summary,
    write_summary,
)
from her2sr_proc.store.tables import (
    count_parquet,
    is_whole_parquet,
    read_parquet_metadata,
    read_parquet_names,
    read_parquet_parts,
    write_parquet_parts,
)
from her2sr_proc.versions import versions

F32 = npt.NDArray[np.float32]
Tell = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""

NOISE_PAIRS = 16
"""Successive frames, spread over a movie, that tell whether a camera took them."""
ROWS = 2**17
"""Of a table that are in memory at once."""
DRAWN = ("x_nm", "y_nm", "uncertainty_nm")
AFTER_KEY = "after_fit"
SPARSE = PreviewStyle(gamma=0.4, high_percentile=97.0, longest_px=2048)
"""As of a run: signals of a few pixels, a thousandfold apart in brightness."""
DENSE = PreviewStyle(gamma=0.7)


def process_movie(
    movie: FrameSource,
    way: Way,
    folder: MovieFolder,
    *,
    jobs: int,
    tell: Tell,
    clock: Callable[[], float] = time.perf_counter,
) -> MovieSummary:
    """Compute whatever is missing of a movie by a profile.

    Parameters
    ----------
    movie : FrameSource
        That of ``way.order``.
    way : Way
        How frames become rows.
    folder : MovieFolder
        Made where it does not exist.
    jobs : int
        Blocks that are localized side by side; no result depends on it.
    tell : callable
        Told after every block and step.

    Raises
    ------
    RequestError
        The profile does not suit the movie; nothing was written.
    StateError
        The folder was begun with another movie or other settings, or another call
        is at work there.
    MovieError
        Frames cannot be read. A folder that this call began is gone again.
    WriteError
        The disk takes no more; called again, only what is missing is computed.
    """
    require_room(way.order)
    crew = BlockCrew(way, folder, jobs=jobs)
    with telling(folder.root):
        make_folder(folder.root)
    with held(folder.root):
        is_begun = begin(folder, way.order)
        began = clock()
        try:
            with telling(folder.root):
                work = _Work(movie, way, folder, tell)
                work.mend()
                resumed = work.make_table(crew)
                return work.finish(resumed, jobs=jobs, since=began, clock=clock)
        except DataError:
            if not is_begun:
                shutil.rmtree(folder.root, ignore_errors=True)
                if not any(folder.out.iterdir()):
                    folder.out.rmdir()
            raise


class _Work:
    """One movie's steps after each other."""

    def __init__(
        self, movie: FrameSource, way: Way, folder: MovieFolder, tell: Tell
    ) -> None:
        self._movie, self._way, self._folder, self._tell = movie, way, folder, tell
        order = way.order
        self._mended: list[str] = []
        self._order = order
        self._profile = way.profile
        self._frame = Frame(
            order.movie.height_px, order.movie.width_px, order.camera.pixel_nm
        )

    def mend(self) -> None:
        """Remove tables that a failing disk or a copy left torn: they are made again.

        The summary goes with them, since the result is not whole.
        """
        for path in (self._folder.table, self._folder.molecules):
            if path.exists() and not is_whole_parquet(path):
                self._folder.summary.unlink(missing_ok=True)
                path.unlink()
                self._mended.append(
                    f"made_again: {path.name} was damaged, so it was made again; check "
                    f"the disk"
                )

    def make_table(self, crew: BlockCrew) -> int:
        """Make the table of all frames; return the frames that stood before."""
        order, name = self._order, self._profile.name
        if self._folder.table.exists():
            return order.movie.frames
        resumed = crew.make(
            self._movie,
            lambda done, total: self._tell(f"{name}: frames", done, total),
        )
        crew.join(self._facts())
        return resumed

    def finish(
        self,
        resumed: int,
        *,
        jobs: int,
        since: float,
        clock: Callable[[], float],
    ) -> MovieSummary:
        """Make what follows from the table; return what there is then."""
        former = read_summary(self._folder)
        if former is not None and self._is_whole():
            return former
        steps, left = part_facts(read_parquet_metadata(self._folder.table))
        watch = Stopwatch()
        after, after_steps = self._after_fit()
        rows = self._draw(watch)
        wall_s = clock() - since + (former.times.wall_s if former else 0.0)
        summary = MovieSummary(
            order=self._order,
            localizations=rows,
            after_fit=after,
            left=left if left.frames else None,
            flags=(*_flags(rows, after, left), *self._noise_flags(), *self._mended),
            frames_resumed=resumed,
            times=Times(
                calls=former.times.calls + 1 if former else 1,
                jobs=jobs,
                wall_s=wall_s,
                steps=summed(steps, after_steps, watch.steps()),
            ),
            made_with=versions(),
        )
        write_summary(self._folder, summary)
        shutil.rmtree(self._folder.parts, ignore_errors=True)
        return summary

    def _is_whole(self) -> bool:
        kinds: tuple[Kind, ...] = ("conventional", "superresolution")
        paths = [self._folder.image(kind) for kind in kinds]
        paths += [self._folder.preview(kind) for kind in kinds]
        paths.append(self._folder.table)
        if self._has_after_fit:
            paths.append(self._folder.molecules)
        return all(path.exists() for path in paths)

    @property
    def _has_after_fit(self) -> bool:
        return self._profile.name != "paper"  # which has no step after the fit

    def _facts(self) -> dict[str, str]:
        movie = self._order.movie
        facts = MovieFacts(
            pixel_nm=self._order.camera.pixel_nm,
            height_px=movie.height_px,
            width_px=movie.width_px,
            frames=movie.frames,
            source=movie.name,
        )
        profile = {"profile": self._profile.name}
        return (
            facts.to_metadata()
            | profile
            | {"profile_digest": self._order.profile_digest}
        )

    def _after_fit(self) -> tuple[AfterFit | None, tuple[StepTime, ...]]:
        if not self._has_after_fit:
            return None, ()
        path = self._folder.molecules
        if not path.exists():
            self._tell(f"{self._profile.name}: drift, link, filter", 0, 1)
            watch = Stopwatch()
            work = AfterTheFit(
                self._order.movie.frames, self._frame, self._profile.render, watch
            )

            def facts() -> dict[str, str]:
                times = Times(calls=1, jobs=1, wall_s=0.0, steps=watch.steps())
                return {
                    AFTER_KEY: work.facts().model_dump_json(),
                    "times": times.model_dump_json(),
                }

            tables = work.molecules(self._parts, self._count(), self._folder.aside)
            write_parquet_parts(path, tables, self._facts(), afterwards=facts)
        said = read_parquet_metadata(path)
        steps = Times.model_validate_json(said["times"]).steps
        return AfterFit.model_validate_json(said[AFTER_KEY]), steps

    def _draw(self, watch: Stopwatch) -> int:
        """Write the pictures; return the rows of the table as fitted."""
        name, pixel_nm = self._profile.name, self._order.camera.pixel_nm
        self._tell(f"{name}: pictures", 0, 1)
        with watch.step("mean images"):
            mean = self._mean()
        self._write("conventional", mean, pixel_nm, DENSE)
        with watch.step("render"):
            picture = self._render()
        self._write("superresolution", picture, self._profile.render.pixel_nm, SPARSE)
        self._tell(f"{name}: pictures", 1, 1)
        return self._count()

    def _parts(self) -> Iterator[Localizations]:
        path = self._folder.table
        return read_parquet_parts(path, read_parquet_names(path), rows=ROWS)

    def _count(self) -> int:
        return count_parquet(self._folder.table)

    def _render(self) -> F32:
        shown = self._folder.molecules if self._has_after_fit else self._folder.table
        frame, params = self._frame, self._profile.render
        return render_parts(
            read_parquet_parts(shown, DRAWN, rows=ROWS),
            rendered_shape(frame.height_px, frame.width_px, frame.pixel_nm, params),
            pixel_nm=frame.pixel_nm,
            params=params,
        )

    def _mean(self) -> F32:
        """Return the mean of the first frames, photo-electrons."""
        wanted = self._profile.count.conventional_frames
        frames = min(wanted, self._movie.shape[0])
        total = np.zeros(self._movie.shape[1:])
        for at in range(frames):
            total += self._movie.read(at, at + 1)[0]
        camera = self._way.camera
        mean = (total / frames - camera.offset_adu) * camera.e_per_adu
        return mean.astype(np.float32)

    def _noise_flags(self) -> list[str]:
        """Say where frames are not as a camera took them, from some of the movie."""
        noise = CameraNoise(self._way.camera)
        last = max(self._movie.shape[0] - 2, 0)
        for at in np.unique(np.linspace(0, last, NOISE_PAIRS).astype(int)).tolist():
            noise.add(self._movie.read(at, min(at + 2, self._movie.shape[0])))
        words = noise.facts().words()
        return [f"cleaned_before: {words}"] if words else []

    def _write(
        self, kind: Kind, image: F32, pixel_nm: float, style: PreviewStyle
    ) -> None:
        write_tiff(self._folder.image(kind), image, pixel_nm=pixel_nm)
        write_preview(self._folder.preview(kind), image, style)


def _flags(rows: int, after: AfterFit | None, left: LeftFacts) -> list[str]:
    flags = []
    if left.frames and left.pixels == 0:
        flags.append(
            "nothing_left: the threshold removed every pixel of every frame, so that "
            "the table is empty"
        )
    elif rows == 0:
        flags.append("nothing_found: no spot was found in any frame")
    if after is not None and after.drift_note:
        flags.append(f"drift_not_taken_off: {after.drift_note}")
    return flags
