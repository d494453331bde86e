"""One burst: set, read back, compare, light, count, dark.

Nothing is lit before every device has confirmed what was asked of it, and the light
goes out whatever happens in between. What came out is counted, never assumed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from her2sr_acq.config import DeviceConfig
from her2sr_acq.devices.ports import Frame, Hardware, Laser
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.dose import DoseBook
from her2sr_acq.engine.filters import Filters
from her2sr_acq.engine.outcome import Light, Outcome
from her2sr_acq.errors import (
    AcqError,
    CameraStalledError,
    DeviceError,
    LightError,
    ReadBackError,
    StorageError,
)
from her2sr_acq.plan.estimate import wall_exposure_ms
from her2sr_acq.plan.models import CameraPlan, Channel
from her2sr_proc.schema.dose import DoseRecord, Purpose
from her2sr_proc.schema.manifest import FieldFacts

log = logging.getLogger(__name__)

SLICE_S = 0.1
"""A wait for a frame is cut into slices, so that a stop or a trip is heard in between,
and the guard hears that this thread lives."""
STALL_PERIODS = 10.0
"""Without a frame for so many periods the camera has stalled."""
MARGIN_S = 1.0
"""By so much the engine ends a burst before the guard would."""


DARK_FRAMES = 2
"""The last of them is measured: the first may still hold what was there before."""


class Burst:
    """Takes bursts on one microscope. Owned by the engine's thread."""

    def __init__(
        self,
        hardware: Hardware,
        config: DeviceConfig,
        *,
        clock: Clock,
        light: Light,
        dose: DoseBook,
    ) -> None:
        self._hardware = hardware
        self._config = config
        self._clock = clock
        self.light = light
        self.dose = dose
        self._filters = Filters(hardware.wheel, config, light=light)

    def take(
        self,
        tile: FieldFacts,
        channel: Channel,
        camera: CameraPlan,
        add: Callable[[Frame], bool],
        *,
        purpose: Purpose = "burst",
        beside_nm: int | None = None,
    ) -> Outcome:
        """Take one burst and pass every frame to ``add``.

        ``beside_nm`` is a line that ``add`` may light too: it is permitted with the
        burst's own, and shut with it.

        ``add`` tells whether the frame completed a block: a stop is obeyed there, so
        that no frame is lost in a block that was not filled.

        An expected fault ends the burst early and stands in the outcome; if it is a
        `LightError`, no further burst may be taken.
        """
        outcome = Outcome()
        try:
            self.light.require()
            self.dose.require(tile, channel)
            self._compare(tile)
            outcome.emission_filter = self._filters.insert(channel)
            self._hardware.lasers[channel.laser_nm].set_power(channel.power_percent)
            self._hardware.camera.arm(
                frames=channel.frames,
                exposure_ms=channel.exposure_ms,
                roi=camera.roi,
                readout=camera.readout,
            )
            self._compare_frame()
            try:
                self._expose(channel, add, outcome, beside_nm)
            finally:
                self._note_dose(tile, channel, outcome, purpose)
                self._look_at_filter(channel, outcome)
        except AcqError as exc:
            outcome.fault = exc
        return outcome

    def _look_at_filter(self, channel: Channel, outcome: Outcome) -> None:
        """Ask the wheel after the light; a doubt is a fault of the burst."""
        try:
            self._filters.require_still(outcome.emission_filter, channel)
        except AcqError as exc:
            outcome.filter_doubt = str(exc)
            outcome.fault = outcome.fault or exc

    def dark_adu(self, channel: Channel, camera: CameraPlan) -> float:
        """Return the mean of a picture of the channel's exposure without light."""
        self.light.require()
        self._require_dark()
        self._hardware.camera.arm(
            frames=DARK_FRAMES,
            exposure_ms=channel.exposure_ms,
            roi=camera.roi,
            readout=camera.readout,
        )
        outcome, means = Outcome(), [math.nan]

        def add(frame: Frame) -> bool:
            means.append(float(frame.adu.mean()))
            return True

        try:
            self._hardware.camera.start()
            dark = channel.model_copy(update={"frames": DARK_FRAMES})
            until = self._clock.monotonic() + longest_light_s(dark, self._config)
            self._pop(dark, add, outcome, until=until)
        finally:
            self._hardware.camera.disarm()
        return means[-1]

    def _note_dose(
        self, tile: FieldFacts, channel: Channel, outcome: Outcome, purpose: Purpose
    ) -> None:
        """Write down what light fell, if any did; a fault of that ends the run."""
        if outcome.lit_s > 0.0:
            try:
                self.book(
                    tile,
                    channel,
                    purpose,
                    frames=outcome.delivered,
                    lit_s=outcome.lit_s,
                )
            except StorageError as exc:
                outcome.fault = outcome.fault or exc

    def book(
        self,
        tile: FieldFacts,
        channel: Channel,
        purpose: Purpose,
        *,
        frames: int,
        lit_s: float,
    ) -> None:
        """Write light on a place into the dose ledger. Raises `StorageError`."""
        light_s = self.dose.light_s(channel, frames=frames, lit_s=lit_s)
        self.dose.add(
            DoseRecord(
                utc=self._clock.stamp(),
                field=tile.name,
                channel=channel.name,
                purpose=purpose,
                nm=channel.laser_nm,
                power_percent=channel.power_percent,
                x_um=tile.x_um,
                y_um=tile.y_um,
                light_s=round(light_s, 6),
                frames=frames,
            )
        )

    def _compare(self, tile: FieldFacts) -> None:
        """Compare what the devices report now with what the burst takes for granted."""
        x_um, y_um = self._hardware.stage.position_um()
        off_um = max(abs(x_um - tile.x_um), abs(y_um - tile.y_um))
        if not off_um <= self._config.stage.tolerance_um:
            raise ReadBackError(
                f"the stage reports x = {x_um:.2f}, y = {y_um:.2f} um, and {tile.name} "
                f"is at {tile.x_um:.2f}, {tile.y_um:.2f}; check the stage"
            )
        self._require_dark()

    def _require_dark(self) -> None:
        for laser in self._hardware.lasers.values():
            if laser.is_on():
                self._darken(laser)
                raise LightError(
                    f"the {laser.nm} nm laser is on before its burst; switch it off "
                    f"by hand, find out why, then restart the service"
                )

    def _compare_frame(self) -> None:
        shape = (self._config.camera.height, self._config.camera.width)
        if self._hardware.camera.shape != shape:
            raise ReadBackError(
                f"the camera reports frames of {self._hardware.camera.shape} pixels "
                f"and the plan says {shape}; check its region of interest"
            )

    def _expose(
        self,
        channel: Channel,
        add: Callable[[Frame], bool],
        outcome: Outcome,
        beside_nm: int | None,
    ) -> None:
        laser = self._hardware.lasers[channel.laser_nm]
        seconds = longest_light_s(channel, self._config)
        self._permit(channel.laser_nm, beside_nm, seconds=seconds)
        lit_from = self._clock.monotonic()
        try:
            laser.on()
            self.light.require_still()  # the safety thread may have been first
            self._hardware.camera.start()
            self._pop(channel, add, outcome, until=lit_from + seconds - MARGIN_S)
        finally:
            still_lit = self._darken(laser)
            if beside_nm is not None:
                beside_lit = self._darken(self._hardware.lasers[beside_nm])
                still_lit = still_lit or beside_lit
            outcome.lit_s = self._clock.monotonic() - lit_from
            if still_lit is None:
                self.light.guard.release()
            else:
                self.light.guard.latch("light", str(still_lit))
            try:
                self._hardware.camera.disarm()
            finally:
                if still_lit is not None:
                    raise still_lit

    def _permit(self, nm: int, beside_nm: int | None, *, seconds: float) -> None:
        """Ask for the light of a burst: of all its lines, or of none."""
        self.light.guard.permit(nm, seconds=seconds)
        if beside_nm is None:
            return
        try:
            self.light.guard.permit(beside_nm, seconds=seconds)
        except AcqError:
            self.light.guard.release()
            raise

    def _pop(
        self,
        channel: Channel,
        add: Callable[[Frame], bool],
        outcome: Outcome,
        *,
        until: float,
    ) -> None:
        exposure_s = wall_exposure_ms(channel.exposure_ms, self._config) / 1000.0
        wait_s = self._config.camera.first_frame_timeout_s + exposure_s
        later_s = max(self._config.camera.stall_timeout_s, STALL_PERIODS * exposure_s)
        while outcome.delivered < channel.frames:
            self.light.require_still()
            frame = self._next(wait_s, outcome, channel.frames)
            if frame is None:
                outcome.stopped = True
                return
            if frame.index != outcome.delivered:
                raise DeviceError(
                    f"the camera handed over frame {frame.index} where frame "
                    f"{outcome.delivered} was due; restart the service"
                )
            outcome.t_s.append(frame.t_s)
            if frame.count is not None:
                outcome.counts.append(frame.count)
            if add(frame):
                if self.light.reins.drops_burst:
                    outcome.stopped = outcome.delivered < channel.frames
                    return
                self._require_time(until, outcome, channel)
            wait_s = later_s

    def _require_time(self, until: float, outcome: Outcome, channel: Channel) -> None:
        if self._clock.monotonic() > until:
            raise DeviceError(
                f"the burst took longer than its light may last: {outcome.delivered} "
                f"of {channel.frames} frames came; check the camera's frame rate"
            )

    def _next(self, wait_s: float, outcome: Outcome, frames: int) -> Frame | None:
        """Return the next frame, or None if a stop is asked while none comes."""
        began = asked = self._clock.monotonic()
        while True:
            slice_s = min(SLICE_S, max(0.0, began + wait_s - asked))
            try:
                return self._hardware.camera.next_frame(timeout_s=slice_s)
            except CameraStalledError as exc:
                now = self._clock.monotonic()
                self.light.require_still()
                if self.light.reins.drops_burst:
                    return None
                ended_itself = now - asked < slice_s / 2
                if ended_itself or now - began >= wait_s:
                    raise CameraStalledError(
                        f"the camera stalled after frame {outcome.delivered} of "
                        f"{frames} ({exc}); check its cable, power and trigger",
                        delivered=outcome.delivered,
                    ) from exc
                asked = now

    def _darken(self, laser: Laser) -> LightError | None:
        """Shut the light; return why it is not proven off, or None."""
        try:
            laser.off()
        except Exception as exc:  # whatever an adapter raises, the light is in doubt
            log.exception("the %d nm laser did not confirm that it is off", laser.nm)
            first = exc
        else:
            return None
        try:
            self._hardware.dark()
        except Exception:  # the first failure is the one to tell
            log.exception("the second attempt to make dark failed")
        return LightError(
            f"the {laser.nm} nm laser is not proven off ({first}); switch it off by "
            f"hand, find out why, then restart the service",
            nm=laser.nm,
        )


def longest_light_s(channel: Channel, config: DeviceConfig) -> float:
    """Return how long the light of a burst may last, whatever happens.

    Twice the burst: a camera may be slower than its exposure. A burst of moments gets
    half a minute, since a driver's start may take longer than the burst.
    """
    burst_s = channel.frames * wall_exposure_ms(channel.exposure_ms, config) / 1000.0
    return max(2.0 * burst_s, burst_s + 30.0)
