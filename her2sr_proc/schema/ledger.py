"""The lines of ``ledger.jsonl``: what was written, block by block, unit by unit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.model import Frozen


class UnitState(StrEnum):
    """Where a unit (field x channel) is."""

    PLANNED = "planned"
    ACQUIRING = "acquiring"
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"


class BlockRecord(Frozen):
    """One block that is safely on disk."""

    kind: Literal["block"] = "block"
    key: BlockKey
    first_frame: int = Field(ge=0)
    frames: int = Field(gt=0)
    bytes: int = Field(gt=0, description="length of the chunk file")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the chunk file")
    t_s: tuple[float, ...] = Field(description="camera clock, one per frame")
    published: bool = Field(description="whether the bus took it")
    replaces: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="SHA-256 of the chunk of the same frames in another coding, which "
        "may still stand there: this line comes before the change",
    )

    @property
    def digests(self) -> tuple[str, ...]:
        """What the chunk's SHA-256 may be."""
        return (self.sha256, self.replaces) if self.replaces else (self.sha256,)


class Gap(Frozen):
    """Frames that the camera exposed and nobody received. Indices do not close it."""

    after_frame: int = Field(ge=0, description="index of the last frame before it")
    missing: int = Field(gt=0, description="frames")


class FocusRecord(Frozen):
    """How the focus stood while a unit was exposed."""

    method: str = Field(description="none, hardware, image or map")
    held_since_utc: str = Field(
        description="when the focus was found; units of the same stamp share one hold"
    )
    z_um: float = Field(description="of the drive, before the burst")
    z_end_um: float = Field(description="of the drive, after it")
    z_offset_um: float = Field(
        default=0.0, description="of the channel's plane from where the run focuses"
    )
    lost_at_frame: int | None = Field(
        default=None, ge=0, description="the lock was seen to be lost by this frame"
    )


class StackRecord(Frozen):
    """Pictures through the focus before the burst of a unit."""

    z_um: tuple[float, ...] = Field(description="of the drive at each plane")
    frames: int = Field(gt=0, description="a plane")
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the file")
    best_um: float | None = Field(
        default=None, description="the sharpest plane, from the middle one"
    )
    why_unknown: str = ""


class ActivationStep(Frozen):
    """What the activating line did from one frame of a burst on."""

    frame: int = Field(ge=0, description="the first that it holds for")
    power_percent: float = Field(ge=0, le=100)
    per_frame: float | None = Field(
        default=None, description="localizations a frame that it answers; None: unknown"
    )


class UnitRecord(Frozen):
    """The last word on one attempt of a unit; a later line overrules an earlier."""

    kind: Literal["unit"] = "unit"
    key: UnitKey
    state: UnitState
    requested: int = Field(ge=0, description="frames")
    delivered: int = Field(ge=0, description="frames the camera handed over")
    written: int = Field(ge=0, description="frames on disk and verified")
    published: int = Field(ge=0, description="frames the bus took")
    started_utc: str
    ended_utc: str
    reason: str = ""
    gaps: tuple[Gap, ...] = Field(
        default=(), description="found by the camera's stamps or count, in order"
    )
    focus: FocusRecord | None = None
    not_scorable: str = Field(
        default="", description="why it may not be scored, however complete it is"
    )
    emission_filter: str = Field(
        default="",
        description="label of the filter wheel's position that was read back before "
        "the light; empty: no wheel, or nothing was lit",
    )
    stack: StackRecord | None = None
    activation: tuple[ActivationStep, ...] = Field(
        default=(), description="of the 405 nm line beside the burst, step by step"
    )


class KeptBlock(Frozen):
    """One block of the frames that stay when the others are discarded."""

    block: int = Field(ge=0, description="chunk index of the kept array")
    frames: int = Field(gt=0)
    bytes: int = Field(gt=0, description="length of the chunk file")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the chunk file")


class Box(Frozen):
    """Rows ``top`` to ``bottom`` - 1 and columns ``left`` to ``right`` - 1."""

    top: int = Field(ge=0)
    left: int = Field(ge=0)
    bottom: int = Field(gt=0)
    right: int = Field(gt=0)


class CropRecord(Frozen):
    """Where pixels stay when the others of every frame are discarded."""

    margin_um: float = Field(gt=0, description="around the box of a nucleus")
    guard_px: int = Field(
        ge=0, description="nearer to a rim spots may differ from the whole frame's"
    )
    boxes: tuple[Box, ...] = Field(min_length=1, description="one a nucleus, by label")
    share: float = Field(gt=0, le=1, description="pixels that stay, of all")
    fill_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="of the picture of the others"
    )


class DiscardRecord(Frozen):
    """Raw frames given up on purpose. Stands in the ledger before they are removed."""

    kind: Literal["discarded"] = "discarded"
    key: UnitKey
    utc: str
    by: str = Field(description="the rule or the person that asked for it")
    reason: str = Field(description="why nothing is lost that was to be kept")
    frames: int = Field(ge=0, description="written, verified, and now discarded")
    every_nth: int = Field(
        default=0, ge=0, description="0: no raw frame is kept; else 0, n, 2n ... are"
    )
    kept: tuple[KeptBlock, ...] = Field(
        default=(), description="blocks of the kept frames, in order"
    )
    crop: CropRecord | None = Field(
        default=None, description="every frame is kept, but only around nuclei"
    )

    @property
    def kept_frames(self) -> int:
        """Raw frames that stay in the run folder."""
        return sum(block.frames for block in self.kept)


LedgerRecord = BlockRecord | UnitRecord | DiscardRecord
LedgerLine = Annotated[LedgerRecord, Field(discriminator="kind")]
LEDGER_LINE: TypeAdapter[LedgerRecord] = TypeAdapter(LedgerLine)
