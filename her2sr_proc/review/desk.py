"""Where one person works on one run: what is shown, and what is written down.

Every act is read, judged and added while nobody else writes, in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from her2sr_proc.errors import AbsentError, BlindError, RequestError, StateError
from her2sr_proc.offline.casefile import CaseFile, Clock, alone
from her2sr_proc.offline.casework import ScoreRequest, score_case
from her2sr_proc.review import drawing, regions, shown
from her2sr_proc.review.agreement import agreement
from her2sr_proc.review.machine import Machine, read_machine
from her2sr_proc.review.pictures import signals_over
from her2sr_proc.schema.case import Act, Counted, Entry, Recounted, Viewed
from her2sr_proc.schema.reading import (
    CountEdited,
    InclusionEdited,
    NucleusRead,
    ReadingItem,
    ReadingSigned,
    ReadWithdrawn,
)
from her2sr_proc.schema.results import ArmName
from her2sr_proc.schema.review import (
    AgreementView,
    AnswerOfArm,
    EntryView,
    NucleusDetail,
    NucleusView,
    ReadingView,
    Reviewer,
    ReviewView,
)
from her2sr_proc.schema.review_requests import (
    Accept,
    ActRequest,
    Adjudicate,
    AnswerRequest,
    CountRequest,
    EnterIhc,
    InclusionRequest,
    ReadingRequest,
    RegionsRequest,
    Reopen,
    Sign,
    SignatureRequest,
)
from her2sr_proc.scoring import record
from her2sr_proc.scoring.case import RECOUNT_NUCLEI, Case
from her2sr_proc.scoring.readings import own
from her2sr_proc.scoring.workflow import State
from her2sr_proc.store.counts_table import read_counts
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import numbered_lines, read_lines

PATIENCE_S = 5.0
"""Who waits for a record holds a thread of the service, and those are few."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The review of a run."""

    run: RunFolder
    utc: Clock
    seed: Callable[[], int]
    """Returns a seed for the order of a reading, 0 to 2^63 - 1."""

    def overview(self, who: Reviewer) -> ReviewView:
        """Return where the review stands."""
        return shown.overview(self._record(), self.machine(), who)

    def nuclei(self, who: Reviewer) -> list[NucleusView]:
        """Return every nucleus, with counts for who may see them."""
        return shown.nuclei(self._record().case, self.machine(), who)

    def nucleus(self, key: str, who: Reviewer) -> NucleusDetail:
        """Return one nucleus, with where its signals stand for who may see them."""
        case, machine = self._record().case, self.machine()
        found = shown.nucleus(case, machine, who, key)
        signals = signals_over(self.run, machine, key) if found.counts else ()
        return NucleusDetail(**dict(found), signals=signals)

    def look(self, who: Reviewer) -> ReviewView:
        """Write down that a person sees counts from now on.

        Raises `BlindError` where that would end a blindness.
        """
        with self._writing() as file:
            if who.name not in file.case.seen_by or not file.case.may_see(who.name):
                self._add(file, Viewed(), who)
        return self.overview(who)

    def note_sight(self, who: Reviewer) -> None:
        """Write down that a person is shown counts elsewhere; once a person.

        Needs no counts of this run to be readable. Raises as `look`, and `WriteError`.
        """
        with self._writing() as file:
            if who.name not in file.case.seen_by:
                self._add(file, Viewed(), who)

    def mark(self, request: RegionsRequest, who: Reviewer) -> ReviewView:
        """Record regions. Raises as `regions.marking`, and without a needed reason."""
        machine = self.machine()
        table = read_counts(self.run.counts, "sr_merged")
        act = regions.marking(request, table, machine)
        with self._writing() as file:
            self._add(file, act, who, request.reason)
        return self.overview(who)

    def edit_count(self, key: str, request: CountRequest, who: Reviewer) -> NucleusView:
        """Record a person's count. The machine's stays beside it."""
        machine = self.machine()
        probes = machine.nucleus(key).counts.get(request.arm)
        if probes is None:
            raise RequestError(f"nucleus {key} was not counted in arm {request.arm}")
        act = CountEdited(
            nucleus=key,
            arm=request.arm,
            her2=request.her2,
            cep17=request.cep17,
            machine_her2=probes["HER2"].count,
            machine_cep17=probes["CEP17"].count,
            revision=request.revision,
        )
        with self._writing() as file:
            case = self._add(file, act, who, request.reason)
        return shown.nucleus(case, machine, who, key)

    def edit_inclusion(
        self, key: str, request: InclusionRequest, who: Reviewer
    ) -> NucleusView:
        """Record that a nucleus is taken out, or back in."""
        machine = self.machine()
        found = machine.nucleus(key)
        act = InclusionEdited(
            nucleus=key,
            is_excluded=request.is_excluded,
            machine_excluded=found.excluded,
            machine_reason=found.exclusion_reason[:500],
            revision=request.revision,
        )
        with self._writing() as file:
            case = self._add(file, act, who, request.reason)
        return shown.nucleus(case, machine, who, key)

    def open_reading(self, request: ReadingRequest, who: Reviewer) -> ReadingView:
        """Draw nuclei and record their order. Raises `BlindError` for who has seen."""
        machine = self.machine()
        with self._writing() as file:
            accepted = shown.accepted_keys(file.case, machine)
            act = drawing.drawn(request, file.case, accepted, seed=self.seed())
            case = self._add(file, act, who)
        return shown.reading(case.readings[act.reading], is_revealed=False)

    def reading(self, name: str, who: Reviewer) -> ReadingView:
        """Return a reading: the own one; another's once it may be known."""
        case = self._record().case
        found = case.readings.get(name)
        if found is None:
            raise AbsentError(f"there is no reading '{name[:40]}' of this case")
        may_know = found.is_signed and shown.shows_counts(case, who)
        if found.by != who.name and not may_know:
            raise BlindError(
                f"'{name}' is the reading of another observer; it is shown to who may "
                f"see counts, once it is signed"
            )
        return shown.reading(found, is_revealed=found.is_signed)

    def item(self, name: str, number: int) -> ReadingItem:
        """Return what a picture is of; not to be sent before the reading is signed."""
        found = self._record().case.readings.get(name)
        if found is None or not 1 <= number <= len(found.items):
            raise AbsentError(f"there is no picture {number} of '{name[:40]}'")
        return found.items[number - 1]

    def answer(
        self, name: str, number: int, request: AnswerRequest, who: Reviewer
    ) -> ReadingView:
        """Record what was seen in one picture; a later answer replaces it."""
        if request.is_excluded and not request.reason.strip():
            raise RequestError("an excluded nucleus needs its reason; give one")
        act = NucleusRead(
            reading=name, item=number, **request.model_dump(exclude={"reason"})
        )
        with self._writing() as file:
            case = self._add(file, act, who, request.reason)
        return shown.reading(case.readings[name], is_revealed=False)

    def withdraw(self, name: str, number: int, who: Reviewer) -> ReadingView:
        """Record that an answer is taken back."""
        with self._writing() as file:
            case = self._add(file, ReadWithdrawn(reading=name, item=number), who)
        return shown.reading(case.readings[name], is_revealed=False)

    def sign_reading(
        self, name: str, request: SignatureRequest, who: Reviewer
    ) -> ReadingView:
        """Sign a reading; where a recount is due, and it is said to be one, recount."""
        with self._writing() as file:
            recount = self._recount(file.case, name, request, who)
            self._add(file, ReadingSigned(reading=name, meaning=request.meaning), who)
            if recount is not None:
                self._add(file, recount, who)
            found = file.case.readings[name]
        return shown.reading(found, is_revealed=True)

    def act(self, request: ActRequest, who: Reviewer) -> ReviewView:
        """Do an act of the work-flow. Raises `StateError` where it is not allowed."""
        self._require_seen(who)
        machine = self.machine()
        changes: dict[str, object] = {}
        match request:
            case Accept():
                changes = {"accept": True, "arm": request.arm}
            case EnterIhc():
                changes = {"ihc": request.value}
            case Adjudicate():
                changes = {"adjudicate": request.outcome, "reason": request.reason}
            case Sign():
                changes = {"sign": request.meaning}
            case Reopen():
                changes = {"reopen": True, "reason": request.reason}
        with self._writing() as file:
            score_case(self._score_request(machine, who, **changes), file)
        return self.overview(who)

    def answer_of(self, arm: ArmName, who: Reviewer) -> AnswerOfArm:
        """Return the answer of an arm as it would be accepted now."""
        self._require_seen(who)
        request = self._score_request(self.machine(), who, arm=arm)
        with self._writing() as file:
            scored = score_case(request, file)
        if scored.arm is None:
            raise StateError("there is nothing to score in this run yet")
        return AnswerOfArm(name=arm, arm=scored.arm, blockers=scored.blockers)

    def agreement(self, who: Reviewer) -> AgreementView:
        """Return how far signed readings agree; for who may see counts."""
        self._require_seen(who)
        return agreement(self._record().case, self.machine())

    def lines(self, who: Reviewer, *, after: int, limit: int) -> list[EntryView]:
        """Return lines of the record, oldest first, from number ``after`` + 1 on."""
        case = self._record().case
        lines = [
            Entry.model_validate_json(text)
            for number, text in numbered_lines(self.run.case)
            if after < number <= after + limit
        ]
        return shown.entries(lines, case, who)

    def machine(self) -> Machine:
        """Return what the machine counted."""
        return read_machine(self.run)

    def case(self) -> Case:
        """Return the case for what is no secret of it: marks and drawn areas."""
        return self._record().case

    def _record(self) -> record.Record:
        return record.read(read_lines(self.run.case))

    @contextmanager
    def _writing(self) -> Iterator[CaseFile]:
        with alone(self.run.case, within_s=PATIENCE_S):
            yield CaseFile(self.run.case, self.utc)

    def _add(self, file: CaseFile, act: Act, who: Reviewer, reason: str = "") -> Case:
        return file.add(act, by=who.name, reason=reason.strip(), identity=who.identity)

    def _require_seen(self, who: Reviewer) -> None:
        case = self._record().case
        if not shown.shows_counts(case, who):
            why = shown.WHY[shown.why_blind(case, who)]
            raise BlindError(f"counts are hidden from {who.name} {why}")

    def _recount(
        self, case: Case, name: str, request: SignatureRequest, who: Reviewer
    ) -> Recounted | None:
        """Return the recount that a reading is, judged before anything is written."""
        if not request.in_ihc_2_area:
            return None
        if case.state is not State.NEEDS_RECOUNT:
            raise StateError("no recount is due; sign the reading without saying so")
        totals = own(case.readings, name, by=who.name).totals()
        if totals.nuclei < RECOUNT_NUCLEI:
            raise RequestError(
                f"{totals.nuclei} nuclei were counted, and a recount needs "
                f"{RECOUNT_NUCLEI}; sign without calling it one, and read more"
            )
        return Recounted(
            totals=Counted(her2=totals.her2, cep17=totals.cep17, nuclei=totals.nuclei),
            in_ihc_2_area=True,
        )

    def _score_request(
        self, machine: Machine, who: Reviewer, **changes: object
    ) -> ScoreRequest:
        plain = {
            "table": self.run.counts,
            "params": machine.manifest.profile.score,
            "by": who.name,
            "identity": who.identity,
        }
        return ScoreRequest(**(plain | changes))  # type: ignore[arg-type]
