"""What `her2sr process MOVIE` does: files opened, work called, lines printed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import typer
from pydantic import ValidationError

from her2sr_proc.cli_process_lines import denoise_line, movie_lines
from her2sr_proc.cli_progress import begin
from her2sr_proc.cli_runs import run_progress
from her2sr_proc.cli_stack import require_frames
from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import Model, read_model
from her2sr_proc.errors import RequestError
from her2sr_proc.live.warming import warm, warm_cleaning
from her2sr_proc.offline.beginning import block_frames, identify
from her2sr_proc.offline.denoise import judge
from her2sr_proc.offline.movie_blocks import Way
from her2sr_proc.offline.whole_movie import process_movie as do
from her2sr_proc.schema.camera import CameraMaps, CameraModel
from her2sr_proc.schema.manifest import NARROWEST_PX, WIDEST_PX
from her2sr_proc.schema.movie import MovieOrder
from her2sr_proc.schema.params import LocalizeParams, Profile, ProfileName
from her2sr_proc.store.atomic import require_writable
from her2sr_proc.store.camera_maps import read_camera_maps
from her2sr_proc.store.frames import FrameSource, open_movie
from her2sr_proc.store.movie_folder import MovieFolder
from her2sr_proc.store.profiles import load_profile

CAMERA = ("pixel_nm", "offset_adu", "e_per_adu", "read_noise_e", "em_gain")


@dataclass(frozen=True, slots=True)
class MovieRequest:
    """The command line of `her2sr process` on a movie, as typed."""

    movie: Path
    out: Path
    profile: ProfileName
    jobs: int | None
    given: dict[str, Path | str | float]
    """Options by name."""

    def path(self, name: str) -> Path | None:
        """Return an option that is a path; None: not given."""
        value = self.given.get(name)
        return Path(str(value)) if value is not None else None

    @property
    def expected(self) -> int | None:
        """How many frames the movie shall have; None: as many as it has."""
        frames = self.given.get("expect_frames")
        return frames if isinstance(frames, int) else None


def process_movie(request: MovieRequest, *, as_json: bool) -> None:
    """Compute what is missing of a movie, and say what there is and what it took."""
    begin()
    _require_apart(request.movie, request.out)
    folder = MovieFolder(request.out, request.profile)
    profile = load_profile(request.profile)
    model_path = request.path("model")
    if model_path is not None and profile.cleaning is None:
        raise RequestError(
            f"--model is of the profile paper: {profile.name} fits the camera's own "
            f"noise, which a model takes off"
        )
    model = read_model(model_path) if model_path is not None else None
    with closing(open_movie(request.movie)) as movie:
        require_frames(request.movie, movie.shape[0], request.expected)
        require_writable(folder.summary)
        way = _way(request, profile, movie, model)
        jobs = request.jobs or len(os.sched_getaffinity(0))
        if not folder.table.exists():
            _foretell(movie, model, jobs)
        warm()
        warm_cleaning()
        with run_progress() as tell:
            found = do(movie, way, folder, jobs=jobs, tell=tell)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for line in movie_lines(found, folder):
        typer.echo(line)


def only_model(texts: Sequence[str]) -> Path:
    """Return the one model that a movie may have. Raises `RequestError` for more."""
    if len(texts) > 1:
        raise RequestError(
            "a movie has one channel and one --model; process each movie by itself"
        )
    path = Path(texts[0])
    if "=" in texts[0] and not path.exists():
        raise RequestError(
            f"--model {texts[0]}: CHANNEL=MODEL.zip is of a run folder; of a movie say "
            f"--model {texts[0].partition('=')[2]}"
        )
    return path


def _require_apart(movie: Path, out: Path) -> None:
    """Raise `RequestError` for results that would stand among a movie's own files."""
    place = movie.resolve()
    if movie.is_dir() and place in (out.resolve(), *out.resolve().parents):
        raise RequestError(
            f"{out} is inside the movie {movie}; name an --out beside it"
        )


def _way(
    request: MovieRequest, profile: Profile, movie: FrameSource, model: Model | None
) -> Way:
    given = request.given
    camera = _camera({n: v for n, v in given.items() if n in CAMERA})
    maps_path = request.path("camera_maps")
    shape = movie.shape[1:]
    maps = (
        read_camera_maps(maps_path, camera, shape)
        if maps_path is not None
        else CameraMaps.uniform(camera, shape)
    )
    denoiser = None
    if model is not None:
        denoiser = Denoiser(model.card, model.onnx)
        denoiser.require_room(shape)
    channel = given.get("channel")
    sigma_nm = given.get("sigma_nm")
    order = MovieOrder(
        movie=identify(movie, request.movie.name),
        profile=profile.name,
        profile_digest=profile.digest,
        localize=_params(profile, camera, sigma_nm=sigma_nm),
        camera=camera,
        camera_maps_sha256=_sha256(maps_path) if maps_path is not None else None,
        channel=str(channel) if channel is not None else None,
        model_sha256=model.card.weights_sha256 if model is not None else None,
        block_frames=block_frames(movie.shape, is_denoised=model is not None),
    )
    return Way(order, profile, maps, denoiser)


def _camera(given: dict[str, Path | str | float]) -> CameraModel:
    try:
        return CameraModel.model_validate(given)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise RequestError(f"{option}: {first['msg']}") from exc


def _params(
    profile: Profile, camera: CameraModel, *, sigma_nm: Path | str | float | None
) -> LocalizeParams:
    """Return how spots are fitted: the width of the optics in pixels of this camera."""
    if profile.name == "paper":
        if sigma_nm is not None:
            raise RequestError(
                "--sigma-nm is of the profile recommended: paper frees the width"
            )
        return profile.localize
    standard = profile.localize.sigma_px * CameraModel().pixel_nm
    wanted = float(sigma_nm) if isinstance(sigma_nm, int | float) else standard
    sigma_px = min(max(wanted / camera.pixel_nm, NARROWEST_PX), WIDEST_PX)
    return profile.localize.model_copy(update={"sigma_px": sigma_px})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _foretell(movie: FrameSource, model: Model | None, jobs: int) -> None:
    """Say how slow denoising will be, and whether the model suits the movie."""
    if model is None:
        return
    judged = judge(movie, Denoiser(model.card, model.onnx), time.perf_counter)
    line = denoise_line(judged.seconds_per_frame, movie.shape[0], jobs)
    typer.echo(line, err=True)
    for flag in judged.flags:
        typer.echo(f"flag: {flag}", err=True)
