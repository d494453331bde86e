"""A stack of pictures through the focus before a signal burst, kept with its unit.

It tells where the focus was when the burst began, in light that is booked like any
other; the drift along the axis follows from two of them.
"""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Focus, Frame
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.planes import Planes
from her2sr_acq.engine.sharpness import (
    Look,
    about,
    middle,
    require_contrast,
    sharpness_of,
)
from her2sr_acq.errors import DeviceError, FocusError
from her2sr_acq.plan.light import StackPlan
from her2sr_acq.plan.models import CameraPlan, Channel
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import StackRecord
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.focus_stack import write_focus_stack
from her2sr_proc.store.layout import RunFolder

U16 = npt.NDArray[np.uint16]
log = logging.getLogger(__name__)


class StackTaker:
    """Takes stacks of one run. Owned by the engine's thread."""

    def __init__(
        self,
        plan: StackPlan,
        burst: Burst,
        planes: Planes,
        drive: Focus,
        config: DeviceConfig,
        folder: RunFolder,
    ) -> None:
        self._plan = plan
        self._burst = burst
        self._planes = planes
        self._drive = drive
        self._config = config
        self._folder = folder

    def take(
        self, key: UnitKey, tile: FieldFacts, channel: Channel, camera: CameraPlan
    ) -> StackRecord:
        """Take and write a stack around where the focus is; return what it tells.

        Raises what a burst ends with for its fault, `StorageError` on a full disk, and
        as `Planes.at`.
        """
        lit = channel.model_copy(
            update={
                "frames": self._plan.frames,
                "power_percent": self._plan.power_percent or channel.power_percent,
            }
        )
        pictures, z_um = [], []
        for height_um in self._plan.heights_um:
            with self._planes.at(height_um):
                z_um.append(round(self._drive.position_um(), 4))
                pictures.append(self._pictures(tile, lit, camera))
        best_um, why = self._best(pictures)
        path = self._folder.focus_stack(key)
        size, digest = write_focus_stack(
            path,
            np.concatenate(pictures),
            z_um=z_um,
            pixel_nm=self._config.camera.model.pixel_nm,
        )
        return StackRecord(
            z_um=tuple(z_um),
            frames=self._plan.frames,
            bytes=size,
            sha256=digest,
            best_um=best_um,
            why_unknown=why,
        )

    def _pictures(self, tile: FieldFacts, channel: Channel, camera: CameraPlan) -> U16:
        taken: list[U16] = []

        def add(frame: Frame) -> bool:
            taken.append(frame.adu)
            return True

        outcome = self._burst.take(tile, channel, camera, add, purpose="stack")
        if outcome.fault is not None:
            raise outcome.fault
        if len(taken) < channel.frames:
            raise DeviceError("the stack through the focus was stopped")
        return np.stack(taken)

    def _best(self, pictures: list[U16]) -> tuple[float | None, str]:
        """Return the sharpest plane from the middle one, um; or why it is not known."""
        model = self._config.camera.model
        try:
            looks = [
                Look(height_um, sharpness_of(_mean(part), model))
                for height_um, part in zip(self._plan.heights_um, pictures, strict=True)
            ]
            require_contrast(looks)
            return round(middle(looks, about(looks)), 4), ""
        except FocusError as exc:
            log.info("a stack does not tell the focus: %s", exc)
            return None, str(exc)


def _mean(pictures: U16) -> U16:
    return np.asarray(np.rint(pictures.mean(axis=0)), np.uint16)
