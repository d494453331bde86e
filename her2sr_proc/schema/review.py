"""What a review shows of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.case import UNNAMED, Identity, Observer, Outcome, Point
from her2sr_proc.schema.counts import Probe, Region
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.reading import NucleusKey, Picture, ReadingId
from her2sr_proc.schema.results import Arm, ArmName
from her2sr_proc.schema.review_requests import AnswerRequest, AreaDrawn


class Reviewer(Frozen):
    """Who acts, and how that is known."""

    name: Observer
    identity: Identity


class ReadingSummary(Frozen):
    """One blind reading, without what was counted."""

    name: ReadingId
    by: Observer
    items: int
    answered: int
    opened_utc: str
    signed_utc: str = Field(description="empty: not signed yet")
    meaning: str = Field(description="of the signature; empty while hidden")
    is_vouched: bool = Field(
        description="false: counts had been shown before it to somebody who was not "
        "logged in, so that nobody can tell whether its observer is blind"
    )


class SightView(Frozen):
    """Somebody was shown counts; tells nothing of them."""

    by: Observer = Field(description=f"'{UNNAMED}': it is not known who")
    identity: Identity
    utc: str
    is_before_review: bool = Field(description="nobody had begun to review")


class CaseView(Frozen):
    """The group and what became of it; only for who may know."""

    group: Literal[1, 2, 3, 4, 5] | None
    arm: str
    counted_by: str
    her2: int | None
    cep17: int | None
    nuclei: int | None
    recounted_by: str
    outcome: Outcome | None
    comment: str
    blockers: tuple[str, ...] = Field(description="nobody can sign while there are any")


class ReviewView(Frozen):
    """Where the review of a run stands, as one person may see it."""

    banner: str = BANNER
    run: str
    sample: str
    reviewer: Reviewer
    state: str = Field(
        description="of the case; `hidden` where it would tell the group to the blind"
    )
    allowed: tuple[str, ...] = Field(
        description="what the work-flow allows next; empty while hidden"
    )
    sights: tuple[SightView, ...] = Field(description="who was shown counts, and when")
    has_seen: bool = Field(description="is recorded as knowing counts of this case")
    may_see: bool = Field(description="may be shown counts now")
    blind: str = Field(description="why counts are hidden; empty when they are not")
    blind_code: Literal["", "reading", "recount", "unasked"] = Field(
        description="the same, for programs"
    )
    nuclei: int
    accepted: int
    regions: dict[Region, int] = Field(description="accepted nuclei by mark")
    marked_by: tuple[str, ...]
    readings: tuple[ReadingSummary, ...]
    own_reading: str = Field(description="not signed yet; empty without one")
    ihc: int | None = Field(description="None: none yet, or hidden")
    case: CaseView | None = Field(description="None while hidden")
    signed_by: str
    signed_utc: str
    meaning: str
    entries: int = Field(description="lines of the record")
    head: str = Field(
        description="SHA-256 of the record's last line; empty while hidden, since a "
        "line of few numbers could be guessed from it"
    )


class CountView(Frozen):
    """What holds for one arm of a nucleus, and what the machine counted."""

    her2: int
    cep17: int
    machine_her2: int
    machine_cep17: int
    is_ambiguous: bool
    is_estimated: bool


class NucleusView(Frozen):
    """One nucleus as one person may see it."""

    key: NucleusKey
    x_um: float
    y_um: float
    area_um2: float
    quality: float
    region: Region
    area: str = Field(description="name of the drawn area it lies in")
    is_excluded: bool
    exclusion_reason: str
    machine_excluded: bool
    revision: int = Field(description="to be sent with a change")
    changed_by: str
    reason: str = Field(description="of the last change")
    counts: dict[ArmName, CountView] | None = Field(description="None while hidden")


class SignalView(Frozen):
    """One counted signal over a nucleus's picture."""

    arm: ArmName
    probe: Probe
    x: float = Field(description="share of the picture's width")
    y: float


class NucleusDetail(NucleusView):
    """One nucleus with its counted signals; without any while counts are hidden."""

    signals: tuple[SignalView, ...]


class AnswerView(AnswerRequest):
    """What was said of one picture."""


class ItemView(Frozen):
    """What was hidden of one picture, once its reading is signed."""

    item: int
    nucleus: NucleusKey
    picture: Picture


class ReadingView(Frozen):
    """One reading, for its observer; for others once it is signed."""

    name: ReadingId
    by: Observer
    items: int
    answers: dict[int, AnswerView]
    signed_utc: str
    meaning: str
    revealed: tuple[ItemView, ...] = Field(description="empty until it is signed")


class AnswerOfArm(Frozen):
    """The answer of one arm, with marks and changes as they stand now."""

    banner: str = BANNER
    name: ArmName
    arm: Arm
    blockers: tuple[str, ...]


class AgreementRow(Frozen):
    """How far two counts of the same pictures agree."""

    first: str
    second: str
    picture: Picture
    probe: Probe
    nuclei: int
    same: int | None = Field(default=None, description="nuclei with the same count")
    within_one: int | None = None
    kappa: float | None = Field(default=None, description="linear weights")
    kappa_interval_95: tuple[float, float] | None = None
    icc: float | None = None
    icc_interval_95: tuple[float, float] | None = None
    bias: float | None = Field(default=None, description="second less first")
    limits_of_agreement: tuple[float, float] | None = None
    untold: tuple[str, ...] = Field(default=(), description="why a figure is missing")


class AgreementView(Frozen):
    """Agreement of the two observers, and of each with the machine."""

    banner: str = BANNER
    categories: tuple[str, ...] = Field(description="of counts, for kappa")
    rows: tuple[AgreementRow, ...]


class EntryView(Frozen):
    """One line of the record, as far as a person may read it."""

    sequence: int
    utc: str
    by: str
    identity: Identity
    kind: str = Field(description="`hidden` where it would tell the group to the blind")
    reason: str
    act: dict[str, object] | None = Field(description="None while hidden")


class FieldPlace(Frozen):
    """Where one field lies on the slide."""

    name: str
    left_um: float
    top_um: float
    width_um: float
    height_um: float


class Layer(Frozen):
    """One channel over the slide."""

    channel: str
    probe: str
    form: Literal["fields", "tiles"] = Field(
        description="fields: a picture of each; tiles: a mosaic on disk"
    )
    sizes_px: tuple[int, ...] = Field(default=(), description="of each field's picture")
    left_um: float | None = None
    top_um: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    pixel_nm: float | None = None
    tile_px: int | None = None
    overlap_px: int | None = None


class Outline(Frozen):
    """One nucleus on the slide."""

    key: NucleusKey
    points: tuple[Point, ...]


class MosaicView(Frozen):
    """Everything of the slide that can be shown, and where it lies."""

    fields: tuple[FieldPlace, ...]
    layers: tuple[Layer, ...]
    untold: tuple[str, ...] = Field(description="what is missing, with the cure")
    outlines: tuple[Outline, ...]
    areas: tuple[AreaDrawn, ...]
