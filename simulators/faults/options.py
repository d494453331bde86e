"""One planned fault, as a configuration or a test writes it down. Values only."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from her2sr_proc.schema.model import Frozen

FaultyDevice = Literal[
    "stage", "focus", "lock", "wheel", "camera", "laser", "interlock", "temperature"
]
FaultKind = Literal[
    "raises",
    "late",
    "hangs",
    "lost",
    "stuck",
    "lies",
    "stall",
    "drop",
    "overflow",
    "garbage",
    "crash",
    "open",
    "fault",
    "mute",
    "weak",
]
CALLS = frozenset({"raises", "late", "hangs", "lost", "lies"})
"""Strike when a device is called."""
FRAMES = frozenset({"stall", "drop", "overflow", "garbage", "crash"})
"""Strike when the camera exposes a frame."""
STATES = frozenset({"open", "fault", "mute", "weak"})
"""Are so while they are live; chance, if any, decides at each frame of the camera."""
DELAYS = frozenset({"late", "hangs", "stall"})
"""Here `duration_s` is how long the call or the frame waits."""
SUITED = MappingProxyType(
    {
        "stage": CALLS | {"stuck"},
        "focus": CALLS | {"stuck"},
        "lock": CALLS,
        "wheel": CALLS | {"stuck"},
        "camera": CALLS | FRAMES,
        "laser": CALLS | {"stuck", "fault", "mute", "weak"},
        "interlock": CALLS | {"open"},
        "temperature": CALLS,
    }
)


class FaultOptions(Frozen):
    """What fails, how, when, and how often.

    A fault is *live* from ``after_s`` or ``at_frame`` on, or at once. A live fault of a
    call strikes at the ``at_call``-th call that suits it and at those that follow; one
    of a frame strikes at ``at_frame`` and at the frames that follow.

    ===========  ===================================================================
    raises       the call fails; with ``at_frame``: the camera's driver fails there
    late         the call works after ``duration_s``
    hangs        the call does not come back for ``duration_s``, or until healed
    lost         the call does nothing and says that it did
    stuck        a drive never moves and never stops being busy, the filter wheel
                 between two filters; a laser (``nm``) accepts to be shut and stays on
    lies         a reading: ``value`` instead, or added to it for stage and focus
    stall        the camera exposes nothing more for ``duration_s``, or until healed
    drop         a frame is exposed and not delivered
    overflow     the core's ring runs over
    garbage      a frame of another size
    crash        the process with the camera's driver dies of a segmentation fault
    open         the interlock is open
    fault        a laser (``nm``) reports a fault
    weak         a laser (``nm``) emits ``value`` of its set point, which it reads back
    mute         the light port takes commands and neither obeys nor answers
    ===========  ===================================================================
    """

    device: FaultyDevice
    kind: FaultKind
    operation: str = Field(
        default="",
        description="such as 'set position' or '561 PowerReadback'; empty: every "
        "setter (raises, late, hangs, lost) or every reading (lies)",
    )
    nm: int | None = Field(default=None, description="of a laser; default: every line")
    at_call: int = Field(default=1, ge=1)
    at_frame: int | None = Field(default=None, ge=0)
    at_burst: int | None = Field(default=None, ge=1, description="from 1, since start")
    after_s: float | None = Field(default=None, ge=0, description="of wall time")
    probability: float = Field(default=1.0, gt=0, le=1, description="at each chance")
    seed: int = Field(default=1, ge=0)
    count: int = Field(default=0, ge=0, description="of strikes; 0: until healed")
    duration_s: float | None = Field(
        default=None,
        gt=0,
        le=86_400,
        description="late, hangs, stall: of the wait; else how long the fault is live",
    )
    value: float | str | None = None
    holds_gil: bool = Field(
        default=False, description="hangs: no other thread of the process runs either"
    )

    @property
    def is_of_frames(self) -> bool:
        """Whether it strikes at a frame of the camera, and not at a call."""
        at_frame = self.at_frame is not None or self.at_burst is not None
        in_driver = self.kind in ("raises", "late", "hangs") and at_frame
        return self.device == "camera" and (self.kind in FRAMES or in_driver)

    @property
    def is_of_calls(self) -> bool:
        """Whether its device has to ask before each call, or whether it is healed."""
        return self.kind not in STATES and (self.device, self.kind) != (
            "laser",
            "stuck",
        )

    @property
    def waits_for_frame(self) -> bool:
        """Whether an exposed frame has to come before it is live."""
        if self.is_of_frames:
            return False
        by_chance = self.kind in STATES and self.probability < 1.0
        return by_chance or self.at_frame is not None or self.at_burst is not None

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.kind not in SUITED[self.device]:
            known = ", ".join(sorted(SUITED[self.device]))
            raise ValueError(f"a {self.device} can be {known}, and not '{self.kind}'")
        if (self.kind in ("lies", "weak")) != (self.value is not None):
            raise ValueError(
                "give 'value' with 'lies' and 'weak', and with nothing else"
            )
        if self.kind == "weak" and not isinstance(self.value, float):
            raise ValueError("the 'value' of 'weak' is a share, such as 0.125")
        if self.kind == "late" and self.duration_s is None:
            raise ValueError("'late' needs 'duration_s'")
        return self


class Strike(Frozen):
    """One stroke of a fault, as the device that suffers it is told."""

    number: int
    kind: FaultKind
    duration_s: float | None = None
    value: float | str | None = None
    holds_gil: bool = False
