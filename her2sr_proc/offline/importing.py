"""Movies of a microscope that this program does not drive -> a run folder like any.

The frames are copied, block by block and checksummed, so that every later step reads
them as it reads its own. What a file is called is not kept: names of laboratories can
tell who a patient is.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from her2sr_proc.camera_noise import CameraNoise
from her2sr_proc.errors import MovieError, RequestError, WriteError
from her2sr_proc.offline.entering import cleaned_reasons
from her2sr_proc.offline.movie_copy import MovieCopy
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.manifest import (
    ChannelFacts,
    FieldFacts,
    ImportedMovie,
    Manifest,
    Role,
)
from her2sr_proc.schema.params import Profile
from her2sr_proc.store.atomic import replacing_folder
from her2sr_proc.store.chain import EventChain
from her2sr_proc.store.cleaning_words import cleaning_named
from her2sr_proc.store.frames import FrameSource, open_movie
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import read_manifest, write_manifest

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

FIELD = FieldFacts(name="r00_c00", row=0, column=0, x_um=0.0, y_um=0.0)
"""The one field of an imported run; where it lay on its slide is not known."""
PROTOCOL = "imported"


@dataclass(frozen=True, slots=True)
class MovieToImport:
    """One movie, and what was said of it."""

    path: Path
    probe: str
    laser_nm: int
    role: Role
    exposure_ms: float
    power_percent: float = 0.0
    """0: not told."""
    spot_sigma_nm: float | None = None
    expected_frames: int | None = None
    """How many the burst was to have; None: as many as there are."""

    def channel(self, frames: int) -> ChannelFacts:
        """Return the channel of a burst of so many frames, named by its light."""
        return ChannelFacts(
            name=str(self.laser_nm),
            probe=self.probe,
            laser_nm=self.laser_nm,
            power_percent=self.power_percent,
            exposure_ms=self.exposure_ms,
            frames=frames,
            role=self.role,
            spot_sigma_nm=self.spot_sigma_nm,
        )


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What is imported, and what cannot be read from the movies."""

    movies: tuple[MovieToImport, ...]
    camera: CameraModel
    profile: Profile
    sample: str
    operator: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was imported."""

    run: RunFolder
    frames: dict[str, int]
    """By channel: how many are there."""
    missing: dict[str, int]
    """By channel: how many fewer than were to be; none where all are."""
    flags: tuple[str, ...] = ()
    """What keeps signals of these movies from being counted."""


def import_movies(
    order: ImportOrder,
    run: RunFolder,
    progress: Progress,
    *,
    utc: Callable[[], str],
    clock: Callable[[], float] = time.monotonic,
) -> Imported:
    """Make a run folder of movies, whole or not at all.

    Raises `MovieError` for a movie that cannot be read or does not fit the others,
    `RequestError` where a folder of that name stands, `WriteError` when the disk does
    not take it.
    """
    if run.root.exists():
        raise RequestError(
            f"{run.root} exists already; a run is imported once: choose another --out"
        )
    with ExitStack() as stack:
        sources = [
            stack.enter_context(closing(open_movie(movie.path)))
            for movie in order.movies
        ]
        channels = _planned(order, sources)
        try:
            with replacing_folder(run.root) as beside:
                filler = _Filler(RunFolder(beside), run.name, order, utc, clock)
                filler.fill(channels, sources, progress)
        except OSError as exc:
            raise WriteError(
                f"{run.root} could not be written ({exc.strerror or exc}); make room "
                f"there, or choose another folder"
            ) from exc
    there = {
        channel.name: source.shape[0]
        for channel, source in zip(channels, sources, strict=True)
    }
    lacking = {c.name: c.frames - there[c.name] for c in channels}
    flags = cleaned_reasons(read_manifest(run), {})
    return Imported(run, there, {n: m for n, m in lacking.items() if m}, flags)


def _planned(order: ImportOrder, sources: Sequence[FrameSource]) -> list[ChannelFacts]:
    """Return the channels with the frames that their bursts were to have."""
    movies = order.movies
    size = sources[0].shape[1:]
    box = 2 * order.profile.localize.radius_px + 1
    if min(size) < box:
        raise MovieError(
            f"{movies[0].path} has frames of {size[0]} x {size[1]} px, smaller than "
            f"the box of {box} x {box} that a spot is fitted in; check that it is the "
            f"right movie"
        )
    channels = []
    for movie, source in zip(movies, sources, strict=True):
        frames, height, width = source.shape
        if (height, width) != size:
            raise MovieError(
                f"{movie.path} has frames of {height} x {width} px, {movies[0].path} "
                f"of {size[0]} x {size[1]}: a field has one size; crop or bin them "
                f"alike"
            )
        wanted = movie.expected_frames or frames
        if frames > wanted:
            raise MovieError(
                f"{movie.path} holds {frames} frames, more than the {wanted} that were "
                f"expected; choose them with `her2sr frames keep`, or say how many"
            )
        channels.append(movie.channel(wanted))
    return channels


@dataclass(frozen=True, slots=True)
class _Filler:
    """Writes everything of a run into an empty folder."""

    folder: RunFolder
    name: str
    order: ImportOrder
    utc: Callable[[], str]
    clock: Callable[[], float]

    def fill(
        self,
        channels: Sequence[ChannelFacts],
        sources: Sequence[FrameSource],
        progress: Progress,
    ) -> None:
        """Copy every movie; write the manifest last of all."""
        manifest = _manifest(self.name, self.utc(), self.order, channels, sources)
        total = sum(source.shape[0] for source in sources)
        movies: list[ImportedMovie] = []
        done = 0
        with EventChain(self.folder) as chain, LineWriter(self.folder.ledger) as ledger:
            request = _request(manifest)
            self._tell(chain, "accepted", request=request, idempotency_key=None)
            for state in ("preparing", "running"):
                self._tell(chain, "state", state=state, phase="importing", reason="")
            for channel, source in zip(channels, sources, strict=True):
                unit = UnitKey(run=self.name, field=FIELD.name, channel=channel.name)
                self._tell(chain, "unit started", unit=unit.model_dump(mode="json"))
                camera = self.order.camera
                noise = CameraNoise(CameraMaps.uniform(camera, source.shape[1:]))
                copy = MovieCopy(self.folder, unit, channel, camera, ledger, noise)
                say = partial(_add, progress, f"importing {channel.name}", done, total)
                digest = copy.all_of(source, say, self.utc)
                done += source.shape[0]
                movies.append(
                    ImportedMovie(
                        channel=channel.name,
                        frames=source.shape[0],
                        pixels_sha256=digest,
                        noise=noise.facts(),
                    )
                )
            is_whole = all(
                c.frames == m.frames for c, m in zip(channels, movies, strict=True)
            )
            state = "completed" if is_whole else "completed_with_faults"
            self._tell(chain, "state", state=state, phase="done", reason="")
        named = [cleaning_named(movie.path) for movie in self.order.movies]
        imported = tuple(
            movie.model_copy(update={"cleaned_by": word})
            for movie, word in zip(movies, named, strict=True)
        )
        whole = manifest.model_copy(update={"imported": imported})
        write_manifest(self.folder, whole)

    def _tell(self, chain: EventChain, kind: str, **data: JsonValue) -> None:
        chain.add(kind, data, utc=self.utc(), monotonic_s=self.clock())


def _manifest(
    name: str,
    created: str,
    order: ImportOrder,
    channels: Sequence[ChannelFacts],
    sources: Sequence[FrameSource],
) -> Manifest:
    _, height, width = sources[0].shape
    return Manifest(
        run=name,
        created_utc=created,
        sample=order.sample,
        operator=order.operator,
        protocol=PROTOCOL,
        plan=_plan(channels),
        channels=tuple(channels),
        fields=(FIELD,),
        frame_height=height,
        frame_width=width,
        camera=order.camera,
        profile=order.profile,
        configuration=PROTOCOL,
        configuration_sha256=hashlib.sha256(
            order.camera.model_dump_json().encode()
        ).hexdigest(),
        versions=order.versions,
    )


def _plan(channels: Sequence[ChannelFacts]) -> dict[str, JsonValue]:
    """Return the plan that would have taken these frames, as far as it is known."""
    return {
        "name": PROTOCOL,
        "grid": {"rows": 1, "columns": 1, "centre": [FIELD.x_um, FIELD.y_um]},
        "channels": [channel.model_dump(mode="json") for channel in channels],
    }


def _request(manifest: Manifest) -> dict[str, JsonValue]:
    return {
        "plan": manifest.plan,
        "sample": manifest.sample,
        "operator": manifest.operator,
    }


def _add(progress: Progress, what: str, before: int, total: int, frames: int) -> None:
    progress(what, before + frames, total)
