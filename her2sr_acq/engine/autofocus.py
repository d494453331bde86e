"""Finds the focus of a field by a few pictures: coarse steps, fine steps, a fit.

Moves by steps from where the focus is, and after a failure undoes its own steps alone;
a drive that failed is left where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import U16, Focus, Frame
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.ground import BEND_SD, Guess
from her2sr_acq.engine.relief import Regions, Tilt, regions_of, relief
from her2sr_acq.engine.sharpness import (
    FAR,
    Look,
    about,
    require_contrast,
    sharpness_of,
    slab,
)
from her2sr_acq.errors import DeviceError, FocusError, LightError
from her2sr_acq.plan.focus import FocusPlan
from her2sr_acq.plan.models import CameraPlan, focus_channel
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.manifest import FieldFacts

COARSE = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Heights of the first pictures, over the reach."""
FINE_STEP = 0.2
"""Of the reach: the fine pictures lie so far apart, around what the coarse ones say."""
THICK_SD = 0.25
"""Error of the middle of a thick section, over half its thickness: few spots lie in it.
"""
WHOLE_SD_UM = 0.2
"""At the least, where a field is told by its pictures as a whole."""
LEAST_SD_UM = 0.02

STILL = Guess(0.0, 0.0)
KNOWN_UM = 0.03
"""Error over a search up to which a drift is taken off its heights."""

Believe = Callable[[Guess], float]
"""Takes what the pictures say; returns where to go, or raises `FocusError`."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """One exposure of a search."""

    z_um: float
    """From where the search began."""
    at_s: float
    adu: U16


class ImageFocus:
    """One search at a time. Owned by the engine's thread."""

    def __init__(
        self,
        burst: Burst,
        focus: Focus,
        plan: FocusPlan,
        config: DeviceConfig,
        clock: Clock,
    ) -> None:
        self._burst = burst
        self._focus = focus
        self._plan = plan
        self._config = config
        self._clock = clock
        self._moved_um = 0.0
        camera = config.camera
        width_um, height_um = frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )
        self._width_um = width_um
        self._tilt = Tilt.unknown(width_um, height_um)
        self._usual = Tilt.unknown(4.0 * width_um, 4.0 * height_um)  # says little

    def find(
        self,
        tile: FieldFacts,
        camera: CameraPlan,
        believe: Believe | None = None,
        *,
        drift: Guess = STILL,
    ) -> float:
        """Go to the plane in which the middle of the frame is sharp; return its z, um.

        ``believe`` weighs it against what is known from elsewhere; ``drift`` is how far
        the focus moves in a second, and what the pictures say is that of their end.
        Raises `FocusError` when there is none, with the focus where it was; raises what
        a burst ends with for its fault, with the focus left where it is.
        """
        self._moved_um = 0.0
        began_um = self._focus.position_um()
        reach_um = self._reach()
        try:
            pictures = self._scan(
                tile, camera, [reach_um * height for height in COARSE]
            )
            looks = [self._look(one) for one in pictures]
            require_contrast(looks)
            # Not beyond the coarse ones, where the limits of the drive may be.
            start_um = min(max(about(looks), -reach_um / 2.0), reach_um / 2.0)
            fine, step_um = self._plan.frames - len(COARSE), FINE_STEP * reach_um
            pictures += self._scan(
                tile,
                camera,
                [start_um + step_um * (n - (fine - 1) / 2.0) for n in range(fine)],
            )
            found = self._found(_at_the_end(pictures, drift), start_um)
            target_um = found.z_um
            if believe is not None:
                seen = Guess(began_um + found.z_um, found.sd_um)
                target_um = believe(seen) - began_um
        except FocusError:
            self._step_to(0.0)
            raise
        self._step_to(target_um)
        return self._focus.position_um()

    def _reach(self) -> float:
        """Return how far up and down is looked, inside the limits of the drive."""
        low, high = self._config.focus.z_um
        z_um = self._focus.position_um()
        reach_um = min(self._plan.reach_um, z_um - low, high - z_um)
        if not reach_um >= min(1.0, self._plan.reach_um):
            raise FocusError(
                f"the focus is at z = {z_um:.2f} um, too near to its limits of {low:g} "
                f"to {high:g} um to look around; level the slide"
            )
        return reach_um

    def _scan(
        self, tile: FieldFacts, camera: CameraPlan, heights_um: Sequence[float]
    ) -> list[_Picture]:
        """Return a picture at each height, from low to high."""
        return [
            _Picture(z_um, self._clock.monotonic(), self._picture(tile, camera, z_um))
            for z_um in heights_um
        ]

    def _found(self, pictures: Sequence[_Picture], start_um: float) -> Guess:
        """Return the height of the middle of the frame, um from where it began."""
        parts = [self._regions(one) for one in pictures]
        looks = [
            Look(one.z_um, part.whole)
            for one, part in zip(pictures, parts, strict=True)
        ]
        whole = slab(looks, start_um)
        found = relief(
            [one.z_um for one in pictures],
            parts,
            start_um=whole.middle_um,
            usual=self._usual,
        )
        if found is None:
            sd_um = max(WHOLE_SD_UM, THICK_SD * whole.half_um)
            return Guess(whole.middle_um, sd_um)
        found = found.given(self._tilt)
        self._tilt = found.tilt.aged(BEND_SD * self._width_um)
        return Guess(found.z_um, max(LEAST_SD_UM, found.sd_um))

    def _regions(self, one: _Picture) -> Regions:
        self._burst.light.guard.pulse()  # large pictures take their time
        return regions_of(one.adu, self._config.camera.model)

    def _look(self, one: _Picture) -> Look:
        """Return how sharp a picture is from far away."""
        self._burst.light.guard.pulse()
        model = self._config.camera.model
        return Look(one.z_um, sharpness_of(one.adu, model, FAR))

    def _picture(self, tile: FieldFacts, camera: CameraPlan, z_um: float) -> U16:
        self._step_to(z_um)
        taken: list[Frame] = []

        def add(frame: Frame) -> bool:
            taken.append(frame)
            return True

        outcome = self._burst.take(
            tile, focus_channel(self._plan), camera, add, purpose="focus"
        )
        if outcome.fault is not None:
            raise outcome.fault
        if not taken:
            raise DeviceError("the search for the focus was stopped")
        return taken[0].adu

    def _step_to(self, z_um: float) -> None:
        try:
            self._focus.move_by(dz_um=z_um - self._moved_um)
        except LightError:
            raise
        except DeviceError as exc:
            raise DeviceError(
                f"the focus drive failed during the search for the focus ({exc}); it "
                f"is left where it is"
            ) from exc
        self._moved_um = z_um


def _at_the_end(pictures: Sequence[_Picture], drift: Guess) -> list[_Picture]:
    """Return pictures at the heights where they would show the same at their end."""
    end_s = pictures[-1].at_s
    if drift.sd_um * (end_s - pictures[0].at_s) > KNOWN_UM:
        return list(pictures)
    return [
        replace(one, z_um=one.z_um + drift.z_um * (end_s - one.at_s))
        for one in pictures
    ]
