"""What was counted in the nuclei of one field, and where each signal stands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.results import ArmName

Probe = Literal["HER2", "CEP17"]
PROBES: tuple[Probe, ...] = ("HER2", "CEP17")
Region = Literal["invasive", "normal", "other", "unmarked"]


class ProbeCount(Frozen):
    """Signals of one probe in one nucleus, in one arm."""

    count: int = Field(ge=0)
    ambiguous: bool = Field(
        default=False, description="a signal stands so near the limit that it may go"
    )
    estimated: bool = Field(
        default=False, description="not counted one by one, but inferred from a cluster"
    )
    low: int = Field(ge=0, description="signals clear of every limit")
    high: int = Field(
        ge=0, description="with the faint ones and those that a strong spot may hide"
    )


class NucleusCounts(Frozen):
    """One row of the counts: a nucleus, whether it is scored, what it holds."""

    nucleus: int = Field(gt=0, description="label in the field's label image")
    x_um: float = Field(description="on the slide")
    y_um: float
    area_um2: float = Field(gt=0)
    region: Region = "unmarked"
    quality: float = Field(ge=0, le=1)
    excluded: bool
    exclusion_reason: str = ""
    counts: dict[ArmName, dict[Probe, ProbeCount]]


class SignalMark(Frozen):
    """One counted signal, for the overlay and for a person's review."""

    arm: ArmName
    probe: Probe
    nucleus: int
    x_px: float = Field(description="camera pixels; the first pixel's centre is 0")
    y_px: float
    sigma_nm: float = Field(gt=0, description="width of the signal")
    strength: float = Field(ge=0, description="over that of an isolated signal")


class ChannelGeometry(Frozen):
    """Where one channel of a field lies, across and along the axis."""

    registered: bool = Field(
        description="its signals were brought into the frame of the reference colour"
    )
    registration_residual_nm: float | None = None
    seen_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="of the section's depth; see her2sr_proc.depth for the model",
    )
    drift_nm: tuple[float, float] | None = Field(
        default=None,
        description="x, y from the first to the last frames of its burst, of its "
        "localizations; None: too few of them, or no signal channel",
    )


class FieldGeometry(Frozen):
    """How the channels of a field lie to each other."""

    channels: dict[str, ChannelGeometry] = Field(default_factory=dict)
    drift_nm: tuple[float, float] | None = Field(
        default=None,
        description="x, y from the first frame to the last of all signal bursts; "
        "measured and reported, and no position is changed by it",
    )
    notes: tuple[str, ...] = Field(default=(), description="what was not measured")


class FieldResult(Frozen):
    """``results/fields/r00_c00.json``."""

    version: Literal[1] = 1
    banner: str = BANNER
    run: str
    field: str
    profile: str
    profile_digest: str
    nuclei: tuple[NucleusCounts, ...]
    signals: tuple[SignalMark, ...] = ()
    attempts: dict[str, int] = Field(
        description="channel -> attempt that was counted", default_factory=dict
    )
    scales: dict[str, float] = Field(
        description="measured by the counter, e.g. cep17_conventional_sigma_nm",
        default_factory=dict,
    )
    segmentation: str = Field(
        default="",
        description="how the nuclei were found: network with the digest of its file, "
        "classical or plugin:NAME; empty where there is no image of them",
    )
    geometry: FieldGeometry | None = Field(
        default=None, description="None: of an earlier program"
    )
    flags: tuple[str, ...] = ()
