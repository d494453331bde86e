"""What was counted in the nuclei of one field, and where each signal stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    resolved: tuple[int, int, int] | None = Field(
        default=None,
        description="count, low and high of the signals told apart, before clusters",
    )


class Cluster(Frozen):
    """A dense region that may hold more than was told apart in it."""

    arm: ArmName
    probe: Probe
    nucleus: int = Field(gt=0)
    x_px: float
    y_px: float
    resolved: int = Field(ge=1, description="as this arm counts")
    light_e: float = Field(description="photo-electrons a frame at the burst's start")
    events: float | None = Field(
        default=None, description="dyes seen one by one; None: no sparse phase"
    )


class Isolated(Frozen):
    """Regions that hold one signal as an arm counts: what calibrates clusters."""

    light_e: tuple[float, ...] = ()
    events: tuple[float, ...] = ()


class Staining(Frozen):
    """Signals of a field that speak for or against its staining."""

    signals: dict[Probe, int] = Field(description="super-resolved, anywhere")
    outside: dict[Probe, int] = Field(description="of these, over no nucleus")
    seen: dict[Probe, int] = Field(description="conventional, in nuclei, glow included")
    glowing: dict[Probe, int] = Field(
        description="of these, in both colours at one place: autofluorescence, excluded"
    )
    coincident: int = Field(ge=0, description="HER2 signals on a CEP17 signal")
    by_chance: float = Field(
        ge=0, description="of these, expected: the mean with one colour shifted"
    )


class EnsemblePhase(Frozen):
    """Where a burst stops showing blobs and starts showing molecules."""

    frames: int = Field(ge=0, description="of the burst")
    end: float | None = Field(
        description="first frame from which most localizations at loci are of one "
        "dye; None: not in this burst, or not known, as reason says"
    )
    low: float | None = Field(default=None, description="95 %, over loci")
    high: float | None = Field(default=None, description="None: beyond the burst")
    dye_photons: float | None = Field(
        default=None, description="of one lit dye in a frame"
    )
    clumps: int = Field(default=0, ge=0, description="loci that told it")
    reason: str = Field(default="", description="empty where an end is known")


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
    ensemble: dict[str, EnsemblePhase] = Field(
        default_factory=dict, description="by channel, from the loci of this nucleus"
    )


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
    drift_z_um: float | None = Field(
        default=None,
        description="of the sharpest plane from its stack to that of the next burst; "
        "None: no two stacks tell it",
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
    ensemble: dict[str, EnsemblePhase] = Field(
        default_factory=dict, description="by channel, from the loci of the unit"
    )
    clusters: tuple[Cluster, ...] = ()
    isolated: dict[str, Isolated] = Field(
        default_factory=dict, description="by column of the counts, as her2_sr"
    )
    staining: Staining | None = None
    segmentation: str = Field(
        default="",
        description="how the nuclei were found: network with the digest of its file, "
        "classical or plugin:NAME; empty where there is no image of them",
    )
    geometry: FieldGeometry | None = Field(
        default=None, description="None: of an earlier program"
    )
    apart: tuple[str, ...] = Field(
        default=(),
        description="why the field does not enter the ratio, the weightiest first; "
        "every nucleus is excluded by it then",
    )
    flags: tuple[str, ...] = ()


def scored(fields: Iterable[FieldResult]) -> Iterator[tuple[str, NucleusCounts]]:
    """Yield field and counts of the nuclei that the arms are sums of, in their order.

    Accepted ones; where anybody marked regions, invasive tumour alone.
    """
    results = list(fields)
    is_marked = any(
        nucleus.region != "unmarked"
        for result in results
        for nucleus in result.nuclei
        if not nucleus.excluded
    )
    for result in results:
        for nucleus in result.nuclei:
            is_tumour = nucleus.region == "invasive" or not is_marked
            if is_tumour and not nucleus.excluded:
                yield result.field, nucleus
