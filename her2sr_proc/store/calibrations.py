"""Calibrations on disk: one card and its arrays a measurement, none ever replaced.

``DATA/calibration/KIND/ID.json`` with ``ID.npz`` beside it. The newest of a kind is the
one in force. The arrays are written first, so that a card never lacks them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.schema.calibration import CalibrationCard, CalibrationKind
from her2sr_proc.schema.camera import CameraMaps
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store import atomic
from her2sr_proc.store.camera_maps import read_camera_maps
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.pixels import BROKEN

Arrays = Mapping[str, npt.NDArray[Any]]
_CARD = re.compile(r"^[0-9]{8}T[0-9]{6}Z(-[0-9]+)?\.json$")


@dataclass(frozen=True, slots=True)
class Stored:
    """A calibration with where it stands."""

    card: CalibrationCard
    path: Path
    sha256: str
    """Of the card's file."""

    @property
    def arrays(self) -> Path:
        """The arrays beside it, whether there are any or not."""
        return self.path.with_suffix(".npz")


def write_calibration(
    data: DataFolder, card: CalibrationCard, arrays: Arrays | None = None
) -> Stored:
    """Write a calibration; return it as it stands, with an id that was free."""
    folder = data.calibrations(card.kind)
    name, count = card.id, 1
    while (folder / f"{name}.json").exists():
        count += 1
        name = f"{card.id}-{count}"
    path = folder / f"{name}.json"
    digest = ""
    if arrays is not None:
        with atomic.replacing(path.with_suffix(".npz")) as beside:
            np.savez_compressed(beside, allow_pickle=False, **dict(arrays))
            digest = _sha256(beside)
    card = card.model_copy(update={"id": name, "arrays_sha256": digest})
    atomic.write_text(path, card.model_dump_json(indent=2) + "\n")
    return Stored(card, path, _sha256(path))


def latest(data: DataFolder, kind: CalibrationKind) -> Stored | None:
    """Return the newest calibration of a kind; None: there is none.

    Raises
    ------
    DataError
        It cannot be read. An older one is not taken in its place.
    IntegrityError
        Its arrays are not those that it was written with.
    """
    folder = data.calibrations(kind)
    if not folder.is_dir():
        return None
    paths = [path for path in folder.iterdir() if _CARD.match(path.name)]
    if not paths:
        return None
    path = max(paths, key=_order)
    try:
        card = CalibrationCard.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise DataError(
            f"the calibration {path} cannot be read; restore it from a copy, or "
            f"calibrate {kind} again"
        ) from exc
    stored = Stored(card, path, _sha256(path))
    if card.arrays_sha256 and _digest_of(stored.arrays) != card.arrays_sha256:
        raise IntegrityError(
            f"{stored.arrays} is not what its calibration was written with; restore "
            f"it from a copy, or calibrate {kind} again"
        )
    return stored


def read_array(stored: Stored, name: str) -> npt.NDArray[Any]:
    """Return one of a calibration's arrays. Raises `DataError`."""
    try:
        with np.load(stored.arrays, allow_pickle=False) as archive:
            return np.asarray(archive[name])
    except (*BROKEN, TypeError) as exc:
        raise DataError(
            f"'{name}' of {stored.arrays} cannot be read; calibrate again"
        ) from exc


def copy_camera_maps(
    stored: Stored, run: RunFolder, *, region: tuple[int, int, int, int]
) -> str:
    """Put the maps of a run's region into its folder; return their SHA-256.

    ``region`` is x, y, width and height on the sensor.
    """
    x, y, width, height = region
    names = ("offset_adu", "e_per_adu", "variance_e2")
    with atomic.replacing(run.camera_maps) as beside:
        cut = {
            name: read_array(stored, name)[y : y + height, x : x + width]
            for name in names
        }
        np.savez_compressed(beside, allow_pickle=False, **cut)
        return _sha256(beside)


def camera_of(run: RunFolder, manifest: Manifest) -> CameraMaps:
    """Return the camera of a run: its maps where it has them, else one for all pixels.

    Raises
    ------
    IntegrityError
        The manifest names maps, and those in the folder are not these: localizing with
        anything else would make another table of the same run.
    """
    shape = (manifest.frame_height, manifest.frame_width)
    use = manifest.calibration.use("camera")
    if use is None:
        return CameraMaps.uniform(manifest.camera, shape)
    if _digest_of(run.camera_maps) != use.arrays_sha256:
        raise IntegrityError(
            f"the camera maps of run {manifest.run} are missing or not those that it "
            f"was taken with; restore {run.camera_maps.name} in its folder from a copy"
        )
    return read_camera_maps(run.camera_maps, manifest.camera, shape)


def _order(path: Path) -> tuple[str, int]:
    stem, _, count = path.stem.partition("-")
    return stem, int(count or 1)


def _digest_of(path: Path) -> str:
    return _sha256(path) if path.is_file() else ""


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
