"""What one burst showed besides its frames: whether focus and light were there."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from her2sr_acq.devices.ports import Frame
from her2sr_acq.engine.evidence import LightProof
from her2sr_acq.engine.focus_watch import FocusWatch
from her2sr_acq.errors import AcqError
from her2sr_proc.schema.ledger import FocusRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Witness:
    """Sees every frame of one unit. Never the cause of its end."""

    watch: FocusWatch
    proof: LightProof

    def begin(self) -> None:
        """Read the focus before the burst."""
        try:
            self.watch.begin()
        except AcqError:
            log.exception("the focus could not be read before a burst")

    def end(self) -> None:
        """Read the focus after the burst, where the burst was."""
        try:
            self.watch.end()
        except AcqError:
            log.exception("the focus could not be read after a burst")

    def see(self, frame: Frame, *, is_block: bool) -> None:
        """Look at a frame; at the end of a block, also at the focus lock."""
        self.proof.frame(frame)
        if is_block:
            self.proof.block(frame)
            try:
                self.watch.look(frame.index)
            except AcqError:  # a lock that does not answer holds nothing
                self.watch.lost_at_frame = frame.index

    def focus(self) -> FocusRecord | None:
        """Return how the focus stood; None when it cannot be read."""
        try:
            return self.watch.record()
        except AcqError:
            log.exception("the focus could not be read after a burst")
            return None

    def not_scorable(self) -> str:
        """Return why the unit may not be scored; empty: it may."""
        causes = [self.proof.verdict()]
        if self.watch.lost_at_frame is not None:
            causes.append(f"the focus was lost by frame {self.watch.lost_at_frame}")
        return "; ".join(cause for cause in causes if cause)
