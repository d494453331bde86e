"""Noise2Void for the fit of a run: models chosen, copied beside its results, run.

Cleaned frames feed the chain of the paper and its fit alone. The pictures that the
counter looks at are of raw frames, so that a signal must be carried by raw photons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from her2sr_proc.denoise.inference import Denoiser
from her2sr_proc.denoise.model import Model, read_model
from her2sr_proc.errors import DataError, IntegrityError, ModelError, RequestError
from her2sr_proc.offline.accounting import table_facts
from her2sr_proc.offline.denoise import Judged, judge
from her2sr_proc.offline.gone import require_frames
from her2sr_proc.offline.unit import Unit
from her2sr_proc.schema.denoise import Denoising
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.denoising import write_denoising
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.ledger import UnitHistory, read_ledger
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.unit_movie import UnitMovie


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model that was named, for one channel or all that have none of their own."""

    path: Path
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Foretold:
    """How long the frames of a run that are not cleaned yet will take."""

    frames: int
    cpu_s: float
    """Of one processor."""
    flags: tuple[str, ...]
    """Where a movie is not of the kind that its model was made for."""


def with_models(run: RunFolder, asked: Sequence[AskedModel]) -> RunFolder:
    """Return the run as its profile sees it, of frames that these models clean.

    Its results stand apart by the digest of the models, so that other models are other
    results. The models are copied there.

    Parameters
    ----------
    run : RunFolder
        As the profile sees it (`store.manifest.with_profile`).
    asked : sequence of AskedModel
        At most one a channel, and one for all others.

    Raises
    ------
    RequestError
        The profile fits raw frames, a channel is none of the run's signal channels or
        named twice, a model cannot be read or takes other axes, or frames are smaller
        than it needs. Nothing was written.
    StateError
        No raw frames are left that could be cleaned. Nothing was written.
    """
    manifest = read_manifest(run)
    profile = manifest.profile
    if profile.cleaning is None:
        raise RequestError(
            f"--model is of the profile paper: {profile.name} fits the camera's own "
            f"noise, which a model takes off; say --profile paper, or leave it out"
        )
    paths = _by_channel(manifest, asked)
    models = {path: _asked(path, manifest) for path in set(paths.values())}
    denoising = Denoising(
        models={name: models[path].card.weights_sha256 for name, path in paths.items()}
    )
    apart = RunFolder(run.root, profile.name, denoising.digest)
    require_frames(apart, manifest)
    if not _stands(apart, denoising):
        files = {name: path.read_bytes() for name, path in paths.items()}
        write_denoising(apart, denoising, files)
    return apart


def _by_channel(manifest: Manifest, asked: Sequence[AskedModel]) -> dict[str, Path]:
    names = [channel.name for channel in manifest.with_role("signal")]
    own: dict[str | None, Path] = {}
    for one in asked:
        if one.channel is not None and one.channel not in names:
            raise RequestError(
                f"--model {one.channel}={one.path}: frames of {one.channel} are not "
                f"localized in this run; name one of {', '.join(names)}"
            )
        if one.channel in own:
            raise RequestError(
                f"--model names two models for {one.channel or 'all channels'}; name "
                f"one, or one a channel as --model {names[0]}=MODEL.zip"
            )
        own[one.channel] = one.path
    chosen = {name: own.get(name, own.get(None)) for name in names}
    return {name: path for name, path in chosen.items() if path is not None}


def _asked(path: Path, manifest: Manifest) -> Model:
    """Return a model that can be run on frames of this run. Raises `RequestError`."""
    try:
        model = read_model(path)
        denoiser = Denoiser(model.card, model.onnx)
        denoiser.require_room((manifest.frame_height, manifest.frame_width))
    except (ModelError, IntegrityError) as exc:
        raise RequestError(str(exc)) from exc
    except RequestError as exc:
        raise RequestError(f"--model {path}: {exc}") from exc
    return model


def _stands(run: RunFolder, denoising: Denoising) -> bool:
    """Return whether the models are there, whole, and nothing else is said of them."""
    try:
        return all(
            read_model(run.model(name)).card.weights_sha256 == digest
            for name, digest in denoising.models.items()
        ) and denoising == Denoising.model_validate_json(run.denoising.read_bytes())
    except (DataError, OSError, ValueError):
        return False


def denoiser_of(unit: Unit) -> Denoiser | None:
    """Return what cleans a unit's frames for the fit; None: they are fitted as raw.

    Raises `IntegrityError` when the copy beside the results is another model.
    """
    digest = unit.manifest.denoised_by.get(unit.key.channel)
    if digest is None:
        return None
    path = unit.run.model(unit.key.channel)
    model = read_model(path)
    if model.card.weights_sha256 != digest:
        raise IntegrityError(
            f"{path} is another model than the results beside it were begun with; "
            f"process the run again with --model"
        )
    return Denoiser(model.card, model.onnx)


def foretell(run: RunFolder, clock: Callable[[], float]) -> Foretold:
    """Say how long cleaning what is missing will take, from frames that are tried.

    Parameters
    ----------
    run : RunFolder
        As `with_models` returns it.
    clock : callable
        Seconds, monotonic.
    """
    manifest = read_manifest(run)
    waiting = _waiting(run, manifest)
    frames, cpu_s = 0, 0.0
    flags: list[str] = []
    for channel in manifest.denoised_by:
        units = [unit for unit in waiting if unit.history.key.channel == channel]
        model = read_model(run.model(channel)) if units else None
        judged = _judge(run, units, model, clock) if model is not None else None
        if judged is not None:
            count = sum(unit.frames for unit in units)
            frames, cpu_s = frames + count, cpu_s + count * judged.seconds_per_frame
            flags += [f"{channel}: {flag}" for flag in judged.flags]
    return Foretold(frames, cpu_s, tuple(flags))


class _Waiting(NamedTuple):
    history: UnitHistory
    frames: int
    """That no table holds yet."""


def _waiting(run: RunFolder, manifest: Manifest) -> list[_Waiting]:
    """Return the units whose frames are to be cleaned, as far as they are missing."""
    found = []
    for key, history in read_ledger(run.ledger).items():
        is_asked = key.channel in manifest.denoised_by and history.discarded is None
        if not is_asked or _has_table(run, history):
            continue
        frames = sum(
            record.frames
            for number, record in history.blocks.items()
            if not run.table_part(key, number).exists()
        )
        if frames:
            found.append(_Waiting(history, frames))
    return found


def _has_table(run: RunFolder, history: UnitHistory) -> bool:
    try:
        facts = table_facts(run.table(history.key))
    except IntegrityError:
        return False
    return facts is not None and facts.localized_frames == history.frames


def _judge(
    run: RunFolder,
    units: Sequence[_Waiting],
    model: Model,
    clock: Callable[[], float],
) -> Judged | None:
    """Try frames of the first unit that can be read; None: none can."""
    denoiser = Denoiser(model.card, model.onnx)
    for unit in units:
        movie = UnitMovie.find(run.raw(unit.history.key))
        if movie is None:
            continue
        with closing(movie):
            try:
                return judge(movie, denoiser, clock)
            except DataError:  # told where the block is localized
                continue
    return None
