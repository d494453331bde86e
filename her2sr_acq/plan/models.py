"""What a protocol may say: grid, channels and how they are exposed. Pure.

Only what this version can do is accepted; everything else is refused with a sentence,
because a key that is read and ignored is a lie in the manifest.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from her2sr_acq.plan.focus import FocusPlan
from her2sr_acq.plan.light import ActivationPlan, StackPlan
from her2sr_acq.plan.select import SelectPlan
from her2sr_acq.plan.stopping import StopPlan
from her2sr_proc.schema.block import NAME
from her2sr_proc.schema.calibration import CalibrationKind
from her2sr_proc.schema.manifest import ChannelFacts
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.params import ProfileName


class Grid(Frozen):
    """Which tiles are taken, and where on the slide."""

    rows: int = Field(default=1, ge=1, le=100)
    columns: int = Field(default=1, ge=1, le=100)
    overlap_percent: float = Field(
        default=0.0, ge=0, le=50, description="of a tile's side, shared by neighbours"
    )
    order: Literal["snake"] = "snake"
    centre: tuple[float, float] | Literal["current"] = Field(
        default="current",
        description="stage x and y in um under the middle of the grid, or 'current'",
    )
    positions: tuple[tuple[float, float], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="stage x and y in um of every field, instead of rows and columns",
    )

    @model_validator(mode="after")
    def _either_grid_or_positions(self) -> Self:
        if self.positions and (self.rows, self.columns) != (1, 1):
            raise ValueError("grid: give rows and columns, or positions, not both")
        return self

    @property
    def size(self) -> int:
        """Number of fields."""
        return len(self.positions) if self.positions else self.rows * self.columns


class Channel(ChannelFacts):
    """One burst in every field: which light, how strong, how long, what for."""

    exposure_ms: float = Field(gt=0, le=60_000)
    frames: int = Field(gt=0, le=1_000_000)
    z_offset_um: float = Field(
        default=0.0,
        ge=-10,
        le=10,
        description="of this colour's focus from where the run focuses; gone before "
        "the burst, and back after it",
    )
    activation: ActivationPlan | None = Field(
        default=None,
        description="405 nm light beside the burst; in no run with DAPI",
    )


class CameraPlan(Frozen):
    """How the camera is read out."""

    roi: tuple[int, int, int, int] | None = Field(
        default=None,
        description="x, y, width, height in pixels of the configured frame; default "
        "the whole of it",
    )
    readout: str | None = Field(
        default=None, description="one of camera.readout_modes of the configuration"
    )

    @field_validator("roi")
    @classmethod
    def _is_an_area(
        cls, roi: tuple[int, int, int, int] | None
    ) -> tuple[int, int, int, int] | None:
        if roi is not None and (min(roi) < 0 or min(roi[2:]) < 16):
            raise ValueError("a region starts at 0 or later and has 16 pixels a side")
        return roi


class EveryNth(Frozen):
    """Every n-th raw frame is kept, from the first."""

    every_nth: int = Field(ge=2, le=10_000)


class NucleiOnly(Frozen):
    """Of every raw frame the pixels around the nuclei that were found are kept."""

    nuclei_only: float = Field(
        ge=2.5,
        le=50,
        description="um around the box of a nucleus; spots within the outer 16 pixels "
        "of it cannot be localized again as they were",
    )


def _form_kept(value: object) -> str | None:
    """Return which form of `KeepRaw` a value is meant to be; None: none of them."""
    if value in ("all", "localizations"):
        return "word"
    keys = value.model_dump() if isinstance(value, Frozen) else value
    forms = "every_nth", "nuclei_only"
    return next((f for f in forms if isinstance(keys, dict) and f in keys), None)


KeepRaw = Annotated[
    Annotated[Literal["all", "localizations"], Tag("word")]
    | Annotated[EveryNth, Tag("every_nth")]
    | Annotated[NucleiOnly, Tag("nuclei_only")],
    Discriminator(
        _form_kept,
        custom_error_type="keep_raw",
        custom_error_message="use all, localizations, {every_nth: 10} for every tenth "
        "frame, or {nuclei_only: 5} for 5 um around the nuclei",
    ),
]
"""What stays of raw frames once every result is verified."""


class RawPlan(Frozen):
    """In which form raw frames stand on disk."""

    format: Literal["ome-zarr", "ome-tiff"] = Field(
        default="ome-zarr", description="what is written while the camera runs"
    )
    tiff_copy: bool = Field(
        default=False, description="an OME-TIFF beside it, from the verified array"
    )
    coding: Literal["fast", "dense"] = Field(
        default="fast",
        description="lossless coding of an ome-zarr while the camera runs; dense is a "
        "quarter smaller for more of the processor",
    )

    @model_validator(mode="after")
    def _only_arrays_are_coded(self) -> Self:
        if self.format == "ome-tiff" and self.coding == "dense":
            raise ValueError(
                "an ome-tiff is not coded; write ome-zarr, or leave coding out"
            )
        return self


class ProcessingPlan(Frozen):
    """Which locked profile turns frames into an answer, live and after."""

    profile: ProfileName = "recommended"


class CalibrationPlan(Frozen):
    """Which calibrations a run may not do without."""

    require: tuple[CalibrationKind, ...] = Field(
        default=(), description="refused without one that is in force"
    )


class Protocol(Frozen):
    """One measurement, as an operator writes it down."""

    name: str = Field(pattern=NAME)
    grid: Grid
    channels: tuple[Channel, ...] = Field(
        min_length=1, max_length=8, description="in order of acquisition"
    )
    camera: CameraPlan = CameraPlan()
    focus: FocusPlan = FocusPlan()
    through_focus: StackPlan | None = Field(
        default=None, description="a stack of pictures before each signal burst"
    )
    stop_when: StopPlan | None = Field(
        default=None, description="ends the run before its last field"
    )
    select: SelectPlan | None = Field(
        default=None, description="none: every tile of the grid is taken, unseen"
    )
    raw: RawPlan = RawPlan()
    keep_raw: KeepRaw = Field(
        default="all",
        description="what stays once every result is verified; less than 'all' "
        "cannot be processed again, but for nuclei_only, inside its boxes",
    )
    processing: ProcessingPlan = ProcessingPlan()
    calibration: CalibrationPlan = CalibrationPlan()
    section_um: float | None = Field(
        default=None,
        gt=0,
        le=50,
        description="thickness of the section, for the share of its depth that is seen",
    )

    @model_validator(mode="after")
    def _one_channel_a_name(self) -> Self:
        names = [channel.name for channel in self.channels]
        if len(set(names)) != len(names):
            raise ValueError("channels: every name may stand only once")
        return self


def focus_channel(plan: FocusPlan) -> Channel:
    """Return the pictures of a search as a burst of one frame."""
    return Channel(
        name="focus",
        probe="none",
        laser_nm=plan.laser_nm,
        power_percent=plan.power_percent,
        exposure_ms=plan.exposure_ms,
        frames=1,
        role="signal",
    )


def overview_channel(plan: SelectPlan) -> Channel:
    """Return the pictures of one tile of an overview as a burst."""
    return Channel(
        name="overview",
        probe="none",
        laser_nm=plan.laser_nm,
        power_percent=plan.power_percent,
        exposure_ms=plan.exposure_ms,
        frames=plan.frames,
        role="signal",
    )
