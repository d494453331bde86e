"""What grows: every step of a run, prepared at a size and ready to be called."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench_counting import NUCLEUS_PX, PARAMS, PITCH_PX, evidence, points_of

from her2sr_proc.background import RollingBall
from her2sr_proc.benchmark import CAMERA, make_movie
from her2sr_proc.counting import count_field
from her2sr_proc.drift import measure_drift
from her2sr_proc.linking import link
from her2sr_proc.offline.movie import Recipe, localize_movie
from her2sr_proc.rendering import render
from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.schema.params import LocalizeParams, RenderParams
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store import raw
from her2sr_proc.store.tables import read_parquet, write_parquet

PIXEL_NM = 130.0
SMALL_PX = 32
PER_FRAME = 3
BLOCK = 100
SEGMENT = 100


class Again:
    """A movie of any length that shows a few frames again and again."""

    dtype = np.dtype(np.uint16)

    def __init__(self, frames, movie):
        self.shape = (frames, *movie.shape[1:])
        self._movie = movie

    def read(self, start, stop):
        return self._movie[np.arange(start, stop) % len(self._movie)]

    def close(self):
        pass


def quiet(*_):
    pass


def localize(frames: int, side: int, emitters: int) -> Callable[[], None]:
    """Return the localizing of a movie, frame by frame, as `her2sr localize` does."""
    movie = make_movie(side, emitters, 1.3, seed=1)
    camera = CameraMaps.uniform(CAMERA, movie.shape[1:])
    params = LocalizeParams(sigma_px=1.3)
    recipe = Recipe(camera=camera, pixel_nm=CAMERA.pixel_nm, params=params)

    def work():
        source = Again(frames, movie)
        localize_movie(source, recipe, frames=range(frames), progress=quiet)

    return work


def blinks(frames: int, per_frame: int, side: int) -> Localizations:
    """Return a table as of sites that blink anywhere in a frame, slowly drifting.

    A blink lasts two frames; so many rows a frame, in order of frames.
    """
    rng = np.random.default_rng(1)
    sites = rng.uniform(0, side * PIXEL_NM, (20 * per_frame, 2))
    frame = np.repeat(np.arange(0, frames, 2), 2 * per_frame)
    first = rng.integers(0, len(sites), (len(frame) // (2 * per_frame), per_frame))
    site = np.concatenate([first, first], axis=1).ravel()
    frame = frame + np.tile(np.repeat([0, 1], per_frame), len(first))
    xy = sites[site] + rng.normal(0, 8, (len(site), 2)) + frame[:, None] * 100 / frames
    n = len(frame)
    columns = {c.name: np.ones(n, np.dtype(c.dtype)) for c in COLUMNS}
    columns |= {
        "frame": frame.astype(np.int32),
        "x_nm": xy[:, 0].astype(np.float32),
        "y_nm": xy[:, 1].astype(np.float32),
    }
    for name in ("uncertainty_nm", "uncertainty_x_nm", "uncertainty_y_nm"):
        columns[name] = np.full(n, 8.0, np.float32)
    return Localizations(columns)


def linking(frames: int, per_frame: int) -> Callable[[], None]:
    table = blinks(frames, per_frame, 256)
    return lambda: void(link(table, distance_nm=20.0, gap=1))


def drifting(frames: int, per_frame: int) -> Callable[[], None]:
    table = blinks(frames, per_frame, 256)
    return lambda: void(
        measure_drift(table, frames=frames, method="aim", segment_frames=SEGMENT)
    )


def rendering(frames: int, per_frame: int, side: int) -> Callable[[], None]:
    table = blinks(frames, per_frame, side)
    size = {"height_px": side, "width_px": side, "pixel_nm": PIXEL_NM}
    return lambda: void(render(table, **size, params=RenderParams()))


def rolling(frames: int, side: int) -> Callable[[], None]:
    """Return the paper's rolling ball over a few frames."""
    rng = np.random.default_rng(1)
    movie = rng.poisson(140, (frames, side, side)).astype(np.uint16)
    ball = RollingBall((side, side), radius_px=15.0)
    return lambda: void(ball.block(movie))


def void(_: object) -> None:
    """Forget a result, so that the next measurement begins without it."""


def counting(nuclei: int) -> Callable[[], None]:
    """Return the counting of a made field of so many nuclei, six and two signals.

    Nuclei stand in a square, so that the field grows with their number.
    """
    rng = np.random.default_rng(1)
    across = int(np.ceil(np.sqrt(nuclei)))
    side = PITCH_PX * across
    places = np.array([divmod(n, across) for n in range(nuclei)])
    centres = (places + 0.5) * PITCH_PX
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:PITCH_PX, :PITCH_PX] - 0.5 * PITCH_PX
    inside = np.hypot(y, x) < NUCLEUS_PX
    for n, (row, column) in enumerate(places * PITCH_PX):
        tile = labels[row : row + PITCH_PX, column : column + PITCH_PX]
        tile[inside] = n + 1
    channels = [
        evidence(probe, points_of(centres, mean, rng), side, rng)
        for probe, mean in (("HER2", 6.0), ("CEP17", 2.0))
    ]
    return lambda: void(count_field(labels, channels, pixel_nm=PIXEL_NM, params=PARAMS))


class Store:
    """Raw frames of one unit, in a folder that is emptied for every size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: list[BlockRecord] = []

    def writing(self, frames: int, side: int, block: int) -> Callable[[], None]:
        """Return the coding and the writing of a unit, forced to disk by block."""
        rng = np.random.default_rng(1)
        adu = rng.poisson(140, (block, side, side)).astype(np.uint16)
        path = self._folder / "561.ome.zarr"
        unit = UnitKey(run="growth", field="r00_c00", channel="561")

        def work():
            shutil.rmtree(path, ignore_errors=True)
            self._records = []
            shape = raw.RawShape(frames, side, side, block)
            raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name="growth")
            for number in range(frames // block):
                size, digest = raw.write_block(path, number, adu)
                self._records.append(
                    BlockRecord(
                        key=BlockKey(**unit.model_dump(), block=number),
                        first_frame=number * block,
                        frames=block,
                        bytes=size,
                        sha256=digest,
                        t_s=(0.0,) * block,
                        published=False,
                    )
                )

        return work

    def reading(self, frames: int, side: int, block: int) -> Callable[[], None]:
        """Return the reading of that unit, as `her2sr verify` compares its blocks."""
        self.writing(frames, side, block)()
        path = self._folder / "561.ome.zarr"
        room = raw.BlockRoom()

        def work():
            for record in self._records:
                raw.read_block(path, record, room)

        return work

    def tables(self, frames: int) -> Callable[[], None]:
        """Return the writing and reading of one table."""
        table = blinks(frames, 4, 256)

        def work():
            path = self._folder / "locs.parquet"
            write_parquet(path, table, {})
            read_parquet(path)

        return work
