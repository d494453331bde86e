"""What `her2sr score` does: counts or totals in, an answer out, acts recorded.

Every act names its observer; nothing becomes final without one. Who reads counts of a
recorded case is written down, since only one who has not can recount blind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from her2sr_proc.errors import RequestError, StateError
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.offline.caserun import evidence_for, params_of, run_of
from her2sr_proc.schema.assessment import Assessment
from her2sr_proc.schema.case import (
    NAMED,
    Act,
    Adjudicated,
    CountAccepted,
    Counted,
    Identity,
    IhcEntered,
    Outcome,
    Recounted,
    RegionsMarked,
    Reopened,
    Signed,
    Viewed,
)
from her2sr_proc.schema.counts import Region
from her2sr_proc.schema.results import Arm
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.scoring import Origin, Sample, Totals, assess
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.edits import Edits, with_edits
from her2sr_proc.scoring.gathering import gather, with_resolution
from her2sr_proc.scoring.reasons import NO_MAP
from her2sr_proc.scoring.typed import score_totals
from her2sr_proc.scoring.workflow import IHC_VALUES
from her2sr_proc.store.counts_table import CountTable, read_counts
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.marks import Marks, mark_all, read_marks

ALL = "all"
NO_EDITS: Mapping[str, Edits] = {}
MEANING_LIMIT, REASON_LIMIT = 200, 500


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What is to be scored, and what a named observer does with it."""

    table: Path | None = None
    totals: Totals | None = None
    arm: str = "sr_merged"
    params: ScoreParams = field(default_factory=ScoreParams)
    channel_map: dict[str, str] | None = None
    marks: str | None = None
    """Path of marks, or `all`."""
    evidence: Path | None = None
    stopped_by_width: bool = False
    ihc: int | None = None
    by: str = ""
    identity: Identity = NAMED
    reason: str = ""
    accept: bool = False
    recount: bool = False
    adjudicate: Outcome | None = None
    sign: str = ""
    reopen: bool = False

    def __post_init__(self) -> None:
        for name, text, most in (
            ("--sign", self.sign, MEANING_LIMIT),
            ("--reason", self.reason, REASON_LIMIT),
        ):
            if len(text) > most:
                raise RequestError(f"{name} has {len(text)} letters; give {most}")
        if self.evidence is not None and self.table is None:
            raise RequestError("--evidence says how nuclei were stained; give COUNTS")

    @property
    def has_counts(self) -> bool:
        """Whether there is something to score."""
        return self.table is not None or self.totals is not None


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of it."""

    arm: Arm | None
    """None where there was nothing to score, or the observer must stay blind."""
    assessment: Assessment | None
    blockers: tuple[str, ...]
    case: Case | None
    head: str = ""


def score_case(request: ScoreRequest, file: CaseFile | None) -> Scored:
    """Score, and do the acts of a request in the order of the work-flow.

    Raises `RequestError`, `StateError` for an act that may not be; those before it
    stand.
    """
    if file is None:
        return _score_alone(request)
    if not request.by:
        raise RequestError("a recorded case needs an observer; give --by")
    if request.reopen:
        _do(file, request, Reopened())
    if request.recount:
        return _recount(request, file)
    return _score_recorded(request, file)


def _score_alone(request: ScoreRequest) -> Scored:
    wants_record = (
        request.accept,
        request.recount,
        request.adjudicate,
        request.sign,
        request.reopen,
    )
    if any(wants_record):
        raise RequestError("such an act needs a record to stand in; give --record")
    if request.marks is not None and not request.by:
        raise RequestError("a named person marks regions; give --by")
    marks = _marks(request, NO_EDITS)
    arm, assessment, blockers = _score(request, marks, request.ihc, NO_EDITS)
    return Scored(arm, assessment, blockers, None)


def _score_recorded(request: ScoreRequest, file: CaseFile) -> Scored:
    if not file.case.may_see(request.by):
        _do(file, request, Viewed())  # refused, with the reason
    marks = _marks(request, file.case.edits)
    if marks is not None:
        _do(file, request, RegionsMarked(marks=marks.regions, areas=marks.areas))
    if request.accept:
        _accept(request, file)
    if request.ihc is not None:
        _do(file, request, _ihc(request.ihc))
    if request.adjudicate is not None:
        _do(file, request, Adjudicated(outcome=request.adjudicate))
    if request.sign:
        _sign(request, file)
    return _shown(request, file)


def _accept(request: ScoreRequest, file: CaseFile) -> None:
    case = file.case
    arm, _, blockers = _score(request, _marks_of(case), None, case.edits)
    if arm is None:
        raise RequestError("there are no counts to accept; give COUNTS or totals")
    totals = Counted(her2=arm.her2_signals, cep17=arm.cep17_signals, nuclei=arm.nuclei)
    table = request.table
    act = CountAccepted(
        arm=request.arm if table else "typed",
        totals=totals,
        group=arm.group,
        counts_sha256=hashlib.sha256(table.read_bytes()).hexdigest() if table else "",
        blockers=blockers,
    )
    _do(file, request, act)


def _sign(request: ScoreRequest, file: CaseFile) -> None:
    said = file.case.outcome
    if said is None:
        state = file.case.state.value.replace("_", " ")
        raise StateError(f"there is no answer to sign: the case is '{state}'")
    _do(file, request, Signed(meaning=request.sign, outcome=said))


def _recount(request: ScoreRequest, file: CaseFile) -> Scored:
    """Take a second observer's totals; show no other count before."""
    totals = request.totals
    if request.table is not None:
        table = read_counts(request.table, request.arm)
        sample = gather(table.rows, marks=_given(request, table))
        totals = sample.of_region("invasive").totals
    if totals is None:
        raise RequestError(
            "a recount needs its counts; give COUNTS or --her2, --cep17, --nuclei"
        )
    counted = Counted(her2=totals.her2, cep17=totals.cep17, nuclei=totals.nuclei)
    _do(file, request, Recounted(totals=counted, in_ihc_2_area=True))
    return Scored(None, None, (), file.case, file.head)


def _shown(request: ScoreRequest, file: CaseFile) -> Scored:
    """Return the answer, after writing down who reads it."""
    case = file.case
    is_shown = request.has_counts or case.count is not None
    if request.by not in case.seen_by and is_shown:
        _do(file, request, Viewed())
    arm, assessment, blockers = _score(request, _marks_of(case), case.ihc, case.edits)
    if case.count is not None:
        blockers = case.count.blockers
    return Scored(arm, assessment, blockers, file.case, file.head)


def _score(
    request: ScoreRequest,
    marks: Marks | None,
    ihc: int | None,
    edits: Mapping[str, Edits],
) -> tuple[Arm | None, Assessment | None, tuple[str, ...]]:
    params = params_of(request.params, request.table)
    generator = np.random.default_rng(params.seed)
    if request.totals is not None:
        arm, blockers = score_totals(
            request.totals, params=params, generator=generator, ihc=ihc
        )
        return arm, None, (*blockers, *_no_map(request))
    if request.table is None:
        return None, None, ()
    table = _read(request.table, request.arm, edits)
    found = assess(
        _sample(table, request.table, marks),
        params=params,
        generator=generator,
        origin=Origin(
            evidence=with_resolution(
                table.rows, evidence_for(request.evidence, request.table)
            ),
            has_channel_map=not _no_map(request),
            stopped_by_width=request.stopped_by_width,
            ihc=ihc,
        ),
    )
    return found.arm, found.assessment, found.assessment.blockers


def _sample(table: CountTable, path: Path, marks: Marks | None) -> Sample:
    run = run_of(path)
    centres = None
    if run is not None:
        fields = read_manifest(run).fields
        centres = {one.name: (one.x_um, one.y_um) for one in fields}
    return gather(
        table.rows,
        marks=marks.regions if marks else None,
        areas=marks.areas if marks else None,
        centres=centres,
    )


def _read(path: Path, arm: str, edits: Mapping[str, Edits]) -> CountTable:
    """Return a table of counts as people left it."""
    table = read_counts(path, arm)
    return CountTable(arm, with_edits(table.rows, arm, edits))


def _marks(request: ScoreRequest, edits: Mapping[str, Edits]) -> Marks | None:
    if request.marks is None:
        return None
    if request.table is None:
        raise RequestError("marks need the nuclei they are of; give COUNTS")
    table = _read(request.table, request.arm, edits)
    if request.marks == ALL:
        return mark_all(table)
    return read_marks(Path(request.marks), table)


def _given(request: ScoreRequest, table: CountTable) -> dict[str, Region]:
    """Return marks of a recount; a second observer's own table needs none."""
    if request.marks is not None and request.marks != ALL:
        return dict(read_marks(Path(request.marks), table).regions)
    return dict(mark_all(table).regions)


def _marks_of(case: Case) -> Marks | None:
    return Marks(case.marks, case.areas) if case.marks else None


def _ihc(value: int) -> IhcEntered:
    if value not in IHC_VALUES:
        raise RequestError(f"IHC is 0, 1, 2 or 3, not {value}")
    return IhcEntered.model_validate({"value": value, "same_tissue": True})


def _do(file: CaseFile, request: ScoreRequest, act: Act) -> None:
    file.add(act, by=request.by, reason=request.reason, identity=request.identity)


def _no_map(request: ScoreRequest) -> tuple[str, ...]:
    if request.channel_map or (request.table and run_of(request.table)):
        return ()
    return (NO_MAP,)
