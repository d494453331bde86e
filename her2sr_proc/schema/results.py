"""What a run answers: counts a nucleus, arms, accounting, truth beside them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.assessment import Assessment
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen

ArmName = Literal["sr_merged", "sr", "conventional"]
ARMS: tuple[ArmName, ...] = ("sr_merged", "sr", "conventional")
Status = Literal[
    "definite", "needs_ihc", "needs_recount", "insufficient", "indeterminate"
]


class Arm(Frozen):
    """One way of counting, over the accepted nuclei."""

    her2_signals: int = Field(ge=0)
    cep17_signals: int = Field(ge=0)
    nuclei: int = Field(ge=0)
    her2_per_nucleus: float | None
    cep17_per_nucleus: float | None
    ratio: float | None = Field(description="None without a CEP17 signal")
    ratio_interval_95: tuple[float, float] | None = Field(description="sampling only")
    ratio_interval_total: tuple[float, float] | None = Field(
        default=None,
        description="with counter, focus and registration; None: no interval",
    )
    group: Literal[1, 2, 3, 4, 5] | None
    unmarked_group: Literal[1, 2, 3, 4, 5] | None = Field(
        default=None,
        description="no answer: what all accepted nuclei would form if they were "
        "invasive tumour; only where nobody marked any",
    )
    group_probabilities: dict[str, float] = Field(default_factory=dict)
    status: Status
    reasons: tuple[str, ...] = ()
    outcome: Literal["positive", "negative"] | None = Field(
        default=None, description="of group and IHC; no result before a person signs"
    )
    comment: str = Field(default="", description="that such an outcome carries")


class UnitAccounting(Frozen):
    """Frames of one unit at every tap."""

    field: str
    channel: str
    attempt: int
    state: str
    reason: str = ""
    requested: int
    delivered: int
    written: int
    published: int
    replayed: int
    localizable: int
    localized: int
    localizations: int
    ensemble_light_frames: int | None = Field(
        default=None,
        description="of the localized frames, those whose localizations are middles of "
        "blobs of many dyes; None: no table, one of a profile that does not tell them, "
        "or one made again of frames that were cut to nuclei",
    )


class Accounting(Frozen):
    """Frames of the whole run at every tap, and of each unit."""

    requested: int
    delivered: int
    written: int
    published: int
    replayed: int
    localizable: int
    localized: int
    units: tuple[UnitAccounting, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing asked for is missing, on disk or in the tables."""
        return (
            self.requested == self.delivered == self.written
            and self.localizable == self.localized
        )


class Truth(Frozen):
    """The simulated truth inside the section, over the matched scored nuclei."""

    copies: Arm = Field(description="loci; a sister doublet is one")
    signals: Arm = Field(description="spots; a sister doublet is two")
    whole_tumour_nuclei: int = Field(ge=0)
    whole_tumour_nuclei_scored: int = Field(ge=0)


class ApartField(Frozen):
    """A field that does not enter the ratio: kept, listed, and shown by itself."""

    field: str
    reasons: tuple[str, ...] = Field(min_length=1)
    nuclei: int = Field(default=0, ge=0, description="that would count but for these")
    her2_signals: int = Field(default=0, ge=0, description="in them, by the headline")
    cep17_signals: int = Field(default=0, ge=0)
    ratio: float | None = Field(default=None, description="of these, never of the run")


class EarlyStop(Frozen):
    """A run that ended before its last field by the rule of its protocol."""

    reason: str
    look: int = Field(ge=1, description="the number of nuclei at which was looked")
    nuclei: int = Field(ge=0, description="scorable, when it was decided")
    interval_width: float | None = Field(
        default=None,
        description="of the ratio's 95 % interval over the ratio; none: not asked for",
    )
    areas: int = Field(ge=2, description="separate areas that held them")
    fields_taken: int = Field(ge=1)
    fields_left: int = Field(ge=1, description="skipped by this rule")


class RunResult(Frozen):
    """``results/result.json``."""

    version: Literal[1] = 1
    banner: str = BANNER
    run: str
    arms: dict[ArmName, Arm]
    headline: ArmName
    channel_map: dict[str, str] = Field(description="channel name -> probe")
    profile: str
    profile_digest: str
    denoised_by: dict[str, str] = Field(
        default_factory=dict,
        description="channel -> SHA-256 of the Noise2Void weights that cleaned its "
        "frames for the fit; empty: none did",
    )
    accounting: Accounting
    apart: tuple[ApartField, ...] = Field(
        default=(), description="fields that do not enter the ratio, with the reason"
    )
    stopped_early: EarlyStop | None = Field(
        default=None, description="the protocol's own rule ended the run"
    )
    flags: tuple[str, ...] = ()
    assessment: Assessment | None = Field(
        default=None, description="what stands beside the headline's group"
    )
    truth: Truth | None = None
