"""Violet light beside a burst, stepped so that emitters a frame stay at a set density.

The line is dark until there are too few emitters. Its power is set while it is dark
and read back, as any power is; then it is lit again, under the permit of the burst.
What is not answered in time holds the power.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from her2sr_acq.devices.ports import Laser
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.clock import Clock
from her2sr_acq.engine.enquiry import BlockCounts, Enquiry, Unknown
from her2sr_acq.plan.models import Channel
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.ledger import ActivationStep
from her2sr_proc.schema.manifest import FieldFacts

log = logging.getLogger(__name__)

CONTENT = 0.05
"""Within this share of the set density the power stays as it is."""
GAIN = 3.0
"""Of a step, as a power of how far the density is off: emitters answer to less than the
light, since those that are on already do not come twice. Halved, down to 1, whenever a
step went too far."""
RECENT = 2
"""Blocks that tell the density: more of them would tell that of a while ago."""
SILENCES = 3
"""After so many answers that did not come it is asked at every tenth block only."""
PATIENT = 10


@dataclass(frozen=True, slots=True)
class Means:
    """By what a line is stepped."""

    laser: Laser
    burst: Burst
    enquiry: Enquiry
    clock: Clock


class Activation:
    """Steps one line in one burst. Used by the engine's thread."""

    def __init__(
        self,
        key: UnitKey,
        tile: FieldFacts,
        channel: Channel,
        means: Means,
        *,
        block_frames: int,
    ) -> None:
        """Raise `DoseError` where the most that it may give is above the ceiling."""
        plan = channel.activation
        assert plan is not None
        self._key = key
        self._tile = tile
        self._channel = channel
        self._plan = plan
        self._laser = means.laser
        self._burst = means.burst
        self._block_frames = block_frames
        self._enquiry = means.enquiry
        self._clock = means.clock
        self._power = 0.0
        self._since_frame = 0
        self._since_s = means.clock.monotonic()
        self._silences = self._blocks = 0
        self._gain = GAIN
        self._was_low: bool | None = None
        self._first_block = 0
        """Blocks from here on were lit by the present power alone."""
        self.steps = [ActivationStep(frame=0, power_percent=0.0)]
        means.burst.dose.require(tile, self._lit(plan.most_percent))

    @property
    def nm(self) -> int:
        """The line that is stepped."""
        return self._plan.laser_nm

    def look(self, frame: int) -> None:
        """Step the power at the end of a block, if its density asks for that.

        Raises what setting and lighting a line raises; the burst shuts it then.
        """
        self._blocks += 1
        if self._silences >= SILENCES and self._blocks % PATIENT:
            return
        self._burst.light.guard.pulse()
        found = self._enquiry.localizations(self._key)
        self._burst.light.guard.pulse()
        if isinstance(found, Unknown):
            self._silences += 1
            log.info("%s: %s", found.instead, found.why)
            return
        self._silences = 0
        density = self._density(found)
        if density is not None:
            power = self.wanted(density)
            if power != self._power:
                self._step(power, frame + 1, density)

    def wanted(self, density: float) -> float:
        """Return the power that a density asks for, in percent; 0: the line is dark."""
        plan = self._plan
        if abs(density / plan.per_frame - 1.0) <= CONTENT:
            return self._power
        if self._power == 0.0:
            return plan.start_percent if density < plan.per_frame else 0.0
        off = plan.per_frame / density if density > 0.0 else plan.step_factor
        is_low = off > 1.0
        if self._was_low is not None and is_low != self._was_low:
            self._gain = max(1.0, self._gain / 2.0)
        self._was_low = is_low
        change = off**self._gain
        change = min(max(change, 1.0 / plan.step_factor), plan.step_factor)
        power = self._power * change
        return min(power, plan.most_percent) if power >= plan.least_percent else 0.0

    def end(self, frames: int) -> None:
        """Book the light since the last step; the burst has shut the line."""
        self._book(frames)
        self._power = 0.0

    def _density(self, found: BlockCounts) -> float | None:
        """Return localizations a frame under the present power; None: not known yet."""
        blocks = [b for b in sorted(found.blocks) if b >= self._first_block][-RECENT:]
        counted = [found.blocks[block] for block in blocks]
        if not counted:
            return None
        return sum(counted) / (len(counted) * self._block_frames)

    def _step(self, power: float, frame: int, density: float) -> None:
        light = self._burst.light
        self._laser.off()
        self._book(frame)
        self._power = 0.0
        if power > 0.0:
            light.require_still()
            self._laser.set_power(power)
            self._since_s = self._clock.monotonic()
            self._power = power
            self._laser.on()
            light.require_still()  # the safety thread may have been first
        self._since_frame = frame
        # of this block the few frames that waited in the ring had the former power
        self._first_block = frame // self._block_frames
        self.steps.append(
            ActivationStep(
                frame=frame,
                power_percent=round(power, 4),
                per_frame=round(density, 3),
            )
        )

    def _book(self, frame: int) -> None:
        """Write the light of the present power down. Raises `StorageError`."""
        if self._power <= 0.0:
            return
        self._burst.book(
            self._tile,
            self._lit(self._power),
            "activation",
            frames=max(0, frame - self._since_frame),
            lit_s=self._clock.monotonic() - self._since_s,
        )

    def _lit(self, percent: float) -> Channel:
        changes = {"laser_nm": self._plan.laser_nm, "power_percent": percent}
        return self._channel.model_copy(update=changes)
