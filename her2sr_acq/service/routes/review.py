"""The review of a run over HTTP: who asks, what for, and what the desk answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, status

from her2sr_acq.service import phrases
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.language import SpokenDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_acq.service.reviewing import desk, mosaic, reviewer
from her2sr_proc.schema.reading import MOST_ITEMS
from her2sr_proc.schema.results import ArmName
from her2sr_proc.schema.review import (
    AgreementView,
    AnswerOfArm,
    EntryView,
    MosaicView,
    NucleusDetail,
    NucleusView,
    ReadingView,
    Reviewer,
    ReviewView,
)
from her2sr_proc.schema.review_requests import (
    ActRequest,
    AnswerRequest,
    CountRequest,
    InclusionRequest,
    ReadingRequest,
    RegionsRequest,
    SignatureRequest,
)

router = APIRouter(prefix="/runs/{run_id}/review", tags=["review"], responses=RESPONSES)

ReviewerDep = Annotated[Reviewer, Depends(reviewer)]
FieldName = Annotated[str, Path(pattern=r"^r\d{2,3}_c\d{2,3}$")]
Nucleus = Annotated[int, Path(ge=1, le=9_999_999)]
ReadingName = Annotated[str, Path(pattern=r"^reading-[1-9]\d{0,3}$")]
Item = Annotated[int, Path(ge=1, le=MOST_ITEMS)]


@router.get("")
def read_review(
    run_id: str, context: ContextDep, who: ReviewerDep, spoken: SpokenDep
) -> ReviewView:
    """Return where the review stands, as this person may see it."""
    view = desk(context, run_id).overview(who)
    if view.case is None:
        return view
    told = {
        "comment": phrases.say(spoken, view.case.comment),
        "blockers": tuple(phrases.say(spoken, one) for one in view.case.blockers),
    }
    return view.model_copy(update={"case": view.case.model_copy(update=told)})


@router.post("/views")
def look(run_id: str, context: ContextDep, who: ReviewerDep) -> ReviewView:
    """Ask to see counts: it is recorded, and ends this person's blindness.

    Answers 409 `blinded` while the person's own reading is not signed, or a recount is
    due.
    """
    return desk(context, run_id).look(who)


@router.get("/mosaic")
def read_mosaic(run_id: str, context: ContextDep) -> MosaicView:
    """Return fields, channels, outlines of nuclei and drawn areas on the slide."""
    return mosaic(desk(context, run_id))


@router.post("/regions")
def mark_regions(
    run_id: str, request: RegionsRequest, context: ContextDep, who: ReviewerDep
) -> ReviewView:
    """Mark areas and nuclei as invasive tumour, normal or other."""
    return desk(context, run_id).mark(request, who)


@router.get("/nuclei")
def read_nuclei(
    run_id: str,
    context: ContextDep,
    who: ReviewerDep,
    spoken: SpokenDep,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> list[NucleusView]:
    """Return the nuclei; counts are null for who may not see them."""
    found = desk(context, run_id).nuclei(who)[offset : offset + limit]
    return [
        one.model_copy(
            update={"exclusion_reason": phrases.say(spoken, one.exclusion_reason)}
        )
        for one in found
    ]


@router.get("/nuclei/{field}/{nucleus}")
def read_nucleus(
    run_id: str,
    field: FieldName,
    nucleus: Nucleus,
    context: ContextDep,
    who: ReviewerDep,
) -> NucleusDetail:
    """Return one nucleus with its counted signals, as this person may see it."""
    return desk(context, run_id).nucleus(f"{field}/{nucleus}", who)


@router.post("/nuclei/{field}/{nucleus}/counts")
def edit_count(
    run_id: str,
    field: FieldName,
    nucleus: Nucleus,
    request: CountRequest,
    context: ContextDep,
    who: ReviewerDep,
) -> NucleusView:
    """Put a person's count in place of the machine's; 409 if it changed meanwhile."""
    return desk(context, run_id).edit_count(f"{field}/{nucleus}", request, who)


@router.post("/nuclei/{field}/{nucleus}/inclusion")
def edit_inclusion(
    run_id: str,
    field: FieldName,
    nucleus: Nucleus,
    request: InclusionRequest,
    context: ContextDep,
    who: ReviewerDep,
) -> NucleusView:
    """Take a nucleus out of the count, or back into it, with the reason."""
    return desk(context, run_id).edit_inclusion(f"{field}/{nucleus}", request, who)


@router.post("/readings", status_code=status.HTTP_201_CREATED)
def open_reading(
    run_id: str, request: ReadingRequest, context: ContextDep, who: ReviewerDep
) -> ReadingView:
    """Begin a blind reading; 409 `blinded` for who has seen counts of this case."""
    return desk(context, run_id).open_reading(request, who)


@router.get("/readings/{reading}")
def read_reading(
    run_id: str, reading: ReadingName, context: ContextDep, who: ReviewerDep
) -> ReadingView:
    """Return a reading: the own one, or another's signed one."""
    return desk(context, run_id).reading(reading, who)


@router.put("/readings/{reading}/items/{item}")
def answer_item(
    run_id: str,
    reading: ReadingName,
    item: Item,
    request: AnswerRequest,
    context: ContextDep,
    who: ReviewerDep,
) -> ReadingView:
    """Say what is seen in one picture; both counts, or excluded with a reason."""
    return desk(context, run_id).answer(reading, item, request, who)


@router.delete("/readings/{reading}/items/{item}")
def withdraw_item(
    run_id: str,
    reading: ReadingName,
    item: Item,
    context: ContextDep,
    who: ReviewerDep,
) -> ReadingView:
    """Take an answer back; the record keeps both."""
    return desk(context, run_id).withdraw(reading, item, who)


@router.post("/readings/{reading}/signature")
def sign_reading(
    run_id: str,
    reading: ReadingName,
    request: SignatureRequest,
    context: ContextDep,
    who: ReviewerDep,
) -> ReadingView:
    """Sign a reading; nothing of it changes after that."""
    return desk(context, run_id).sign_reading(reading, request, who)


@router.get("/agreement")
def read_agreement(run_id: str, context: ContextDep, who: ReviewerDep) -> AgreementView:
    """Return how far observers agree; 409 before two have signed."""
    return desk(context, run_id).agreement(who)


@router.get("/answers/{arm}")
def read_answer(
    run_id: str,
    arm: ArmName,
    context: ContextDep,
    who: ReviewerDep,
    spoken: SpokenDep,
) -> AnswerOfArm:
    """Return the answer of an arm as it would be accepted now."""
    found = desk(context, run_id).answer_of(arm, who)
    told = tuple(phrases.say(spoken, one) for one in found.blockers)
    return found.model_copy(update={"blockers": told})


@router.post("/acts")
def do_act(
    run_id: str, request: ActRequest, context: ContextDep, who: ReviewerDep
) -> ReviewView:
    """Accept, enter IHC, adjudicate, sign or reopen; 409 where it is not allowed."""
    return desk(context, run_id).act(request, who)


@router.get("/record")
def read_record(
    run_id: str,
    context: ContextDep,
    who: ReviewerDep,
    after: Annotated[int, Query(ge=0, description="lines to pass over")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 200,
) -> list[EntryView]:
    """Return lines of the record; what would unblind this person is null."""
    return desk(context, run_id).lines(who, after=after, limit=limit)
