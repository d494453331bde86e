"""One movie by both profiles, beside what an ordinary microscope would show of it.

Arrays, parameters and an open movie in; tables, pictures and figures out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from her2sr_proc.drift import measure_drift
from her2sr_proc.errors import RequestError
from her2sr_proc.linking import link
from her2sr_proc.offline.movie import Recipe, localize_movie
from her2sr_proc.rendering import render
from her2sr_proc.resolution import Resolution, measure_resolution
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.manifest import NARROWEST_PX, WIDEST_PX
from her2sr_proc.schema.params import LocalizeParams, Profile, RenderParams
from her2sr_proc.schema.table import Localizations
from her2sr_proc.store.frames import FrameSource

F32 = npt.NDArray[np.float32]
Tell = Callable[[str, int, int], None]
"""Called with what is done, frames done, and frames in all."""

SHOWN_NM = 130.0
"""A few rows of ThunderSTORM's are micrometres uncertain, and as wide: drawn with the
others they hide them."""
SEGMENT_FRAMES = 200
LINK_NM, LINK_GAP = 20.0, 1
BLOCK = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """What a movie is, where it does not say so itself."""

    camera: CameraMaps
    pixel_nm: float
    sigma_nm: float
    """Width of a spot in focus: of `recommended`; the paper's fit frees it."""
    channel: str | None
    conventional_frames: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a way, and what it took on the wall."""

    name: str
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """One profile's way from the movie to a picture."""

    profile: Profile
    table: Localizations
    """As localized."""
    picture: F32
    shown: F32
    """The same of the rows that are certain to `SHOWN_NM`, for a page."""
    left_out: int
    """Rows that a page therefore does not show."""
    resolution: Resolution
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SideBySide:
    """A movie three times."""

    conventional: F32
    """Mean of the first frames, photo-electrons; shape (height, width)."""
    sides: tuple[Side, ...]
    frames: int


def compare_movie(
    movie: FrameSource,
    setting: Setting,
    profiles: tuple[Profile, ...],
    *,
    tell: Tell,
    rng: np.random.Generator,
    clock: Callable[[], float] = time.perf_counter,
) -> SideBySide:
    """Return a movie by every profile.

    Raises `MovieError` for frames that cannot be read, `RequestError` where a
    profile's cleaning does not fit the movie.
    """
    frames = movie.shape[0]
    sides = [
        _side(movie, setting, profile, tell=tell, rng=rng, clock=clock)
        for profile in profiles
    ]
    first = min(setting.conventional_frames, frames)
    return SideBySide(_mean(movie, setting, first), tuple(sides), frames)


def _side(
    movie: FrameSource,
    setting: Setting,
    profile: Profile,
    *,
    tell: Tell,
    rng: np.random.Generator,
    clock: Callable[[], float],
) -> Side:
    frames = movie.shape[0]
    recipe = Recipe(
        setting.camera,
        setting.pixel_nm,
        _params(setting, profile),
        profile.cleaning,
        setting.channel,
    )
    outcome = localize_movie(
        movie,
        recipe,
        frames=range(frames),
        jobs=setting.jobs,
        progress=lambda done, total: tell(profile.name, done, total),
        clock=clock,
    )
    what = "cleaned and localized" if profile.cleaning else "localized"
    steps = [Step(what, outcome.wall_s)]
    kept = outcome.table
    if profile.name != "paper":  # which has no step after the fit
        kept = _after_the_fit(kept, frames, steps, clock)
    begun = clock()
    picture = _picture(kept, movie, setting, profile.render)
    steps.append(Step("rendered", clock() - begun))
    resolution = measure_resolution(kept, rng)
    most_nm = min(SHOWN_NM, profile.render.maximum_uncertainty_nm)
    certain = profile.render.model_copy(update={"maximum_uncertainty_nm": most_nm})
    return Side(
        profile=profile,
        table=outcome.table,
        picture=picture,
        shown=_picture(kept, movie, setting, certain),
        left_out=int((kept["uncertainty_nm"].astype(np.float64) > most_nm).sum()),
        resolution=resolution,
        steps=tuple(steps),
    )


def _after_the_fit(
    table: Localizations, frames: int, steps: list[Step], clock: Callable[[], float]
) -> Localizations:
    begun = clock()
    try:
        drift = measure_drift(
            table, frames=frames, method="aim", segment_frames=SEGMENT_FRAMES
        )
    except RequestError as exc:  # a short or empty movie shows no drift: said
        why = str(exc).partition(";")[0]  # the cure names options of another command
        steps.append(Step("drift not taken off", clock() - begun, why))
    else:
        table = drift.taken_off(table)
        reach = float(np.abs(drift.xy_nm).max())
        steps.append(
            Step("drift taken off", clock() - begun, f"{reach:.0f} nm at most")
        )
    begun = clock()
    rows = len(table)
    table = link(table, distance_nm=LINK_NM, gap=LINK_GAP)
    steps.append(Step("re-blinks linked", clock() - begun, f"{rows} to {len(table)}"))
    return table


def _params(setting: Setting, profile: Profile) -> LocalizeParams:
    if profile.name == "paper":
        return profile.localize
    sigma_px = setting.sigma_nm / setting.pixel_nm
    return profile.localize.model_copy(
        update={"sigma_px": min(max(sigma_px, NARROWEST_PX), WIDEST_PX)}
    )


def _picture(
    table: Localizations, movie: FrameSource, setting: Setting, params: RenderParams
) -> F32:
    return render(
        table,
        height_px=movie.shape[1],
        width_px=movie.shape[2],
        pixel_nm=setting.pixel_nm,
        params=params,
    )


def _mean(movie: FrameSource, setting: Setting, frames: int) -> F32:
    total = np.zeros(movie.shape[1:])
    for first in range(0, frames, BLOCK):
        adu = movie.read(first, min(first + BLOCK, frames))
        total += adu.sum(axis=0, dtype=np.float64)
    mean = (total / frames - setting.camera.offset_adu) * setting.camera.e_per_adu
    return mean.astype(np.float32)
