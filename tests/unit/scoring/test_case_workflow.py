"""The 2018 work-flow: every branch, who may do what, and a record that shows change."""

import json
from itertools import product

import pytest

from her2sr_proc.errors import BlindError, IntegrityError, RequestError, StateError
from her2sr_proc.offline.casefile import CaseFile
from her2sr_proc.schema.case import (
    Adjudicated,
    CountAccepted,
    Counted,
    IhcEntered,
    Recounted,
    RegionsMarked,
    Reopened,
    Signed,
    Viewed,
)
from her2sr_proc.scoring import record
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.workflow import NEXT, Event, State, advance, ihc

TOTALS = {
    1: Counted(her2=160, cep17=40, nuclei=20),
    2: Counted(her2=60, cep17=28, nuclei=20),
    3: Counted(her2=130, cep17=80, nuclei=20),
    4: Counted(her2=90, cep17=60, nuclei=20),
    5: Counted(her2=40, cep17=40, nuclei=20),
}


def lived(*acts, by="first"):
    """Return the case after acts; each is an act, or (act, observer, reason)."""
    found = record.read([])
    for given in acts:
        act, who, why = given if isinstance(given, tuple) else (given, by, "")
        found, _ = record.add(found, act, by=who, utc="2026-01-01T00:00Z", reason=why)
    return found.case


def counted(group, blockers=()):
    totals = TOTALS[group] if group else Counted(her2=0, cep17=0, nuclei=20)
    return CountAccepted(
        arm="sr_merged",
        totals=totals,
        group=group,
        counts_sha256="",
        blockers=blockers,
    )


def stained(value):
    return IhcEntered(value=value, same_tissue=True)


def recounted(group, by="second"):
    return Recounted(totals=TOTALS[group], in_ihc_2_area=True), by, ""


def signed(outcome):
    return Signed(meaning="reviewed and approved", outcome=outcome), "head", ""


ENDS = [
    # group, IHC, state, outcome, has comment: Wolff et al. 2018, figures 3 to 6
    (1, None, "needs_signature", "positive", False),
    (5, None, "needs_signature", "negative", False),
    (2, None, "needs_ihc", None, False),
    (3, None, "needs_ihc", None, False),
    (4, None, "needs_ihc", None, False),
    (2, 3, "needs_signature", "positive", False),
    (3, 3, "needs_signature", "positive", False),
    (4, 3, "needs_signature", "positive", False),
    (2, 2, "needs_recount", None, False),
    (3, 2, "needs_recount", None, False),
    (4, 2, "needs_recount", None, False),
    *((g, v, "needs_signature", "negative", True) for g in (2, 3, 4) for v in (0, 1)),
]


@pytest.mark.parametrize(("group", "value", "state", "outcome", "comments"), ENDS)
def test_every_group_and_ihc_leads_where_the_guideline_says(
    group, value, state, outcome, comments
):
    acts = [counted(group)] if value is None else [counted(group), stained(value)]
    case = lived(*acts)
    assert (case.state.value, case.outcome) == (state, outcome)
    assert bool(case.comment) is comments
    assert not case.is_final


RECOUNTS = [(2, "negative", True), (3, "positive", False), (4, "negative", True)]


@pytest.mark.parametrize(("group", "outcome", "comments"), RECOUNTS)
def test_a_recount_with_the_same_group_is_answered(group, outcome, comments):
    case = lived(counted(group), stained(2), recounted(group))
    assert (case.state, case.outcome) == (State.NEEDS_SIGNATURE, outcome)
    assert bool(case.comment) is comments
    assert case.recounted_by == "second"


CHANGES = [(a, b) for a, b in product((2, 3, 4), TOTALS) if a != b]


@pytest.mark.parametrize(("first", "second"), CHANGES)
def test_a_recount_with_another_group_goes_to_adjudication(first, second):
    case = lived(counted(first), stained(2), recounted(second))
    assert (case.state, case.outcome) == (State.NEEDS_ADJUDICATION, None)


@pytest.mark.parametrize("outcome", ["positive", "negative"])
def test_adjudication_decides_with_its_grounds(outcome):
    acts = counted(2), stained(2), recounted(5)
    case = lived(*acts, (Adjudicated(outcome=outcome), "board", "third reading"))
    assert (case.state, case.outcome) == (State.NEEDS_SIGNATURE, outcome)
    with pytest.raises(RequestError, match="--reason"):
        lived(*acts, (Adjudicated(outcome=outcome), "board", ""))


def test_nothing_is_final_before_somebody_signs_with_a_meaning():
    case = lived(counted(1), signed("positive"))
    assert case.is_final
    assert (case.signed_by, case.meaning) == ("head", "reviewed and approved")
    assert case.signed_utc == "2026-01-01T00:00Z"


def test_a_signature_must_say_what_the_work_flow_says():
    with pytest.raises(RequestError, match="says negative"):
        lived(counted(1), signed("negative"))


def test_what_stands_against_a_count_blocks_its_signature():
    with pytest.raises(StateError, match="19 nuclei"):
        lived(counted(1, blockers=("19 nuclei counted",)), signed("positive"))


def test_a_count_without_a_group_needs_another_count():
    case = lived(counted(None))
    assert (case.state, case.outcome) == (State.NO_ANSWER, None)
    assert lived(counted(None), counted(1)).outcome == "positive"


def test_the_first_observer_cannot_recount():
    with pytest.raises(RequestError, match="not blind"):
        lived(counted(2), stained(2), recounted(2, by="first"))


def test_who_has_seen_the_counts_cannot_recount():
    with pytest.raises(RequestError, match="not blind"):
        lived(
            counted(2), (Viewed(), "second", ""), stained(2), recounted(2, by="second")
        )


def test_counts_are_hidden_from_others_until_the_recount_is_done():
    before = lived(counted(2), stained(2))
    assert before.may_see("first")
    assert not before.may_see("second")
    with pytest.raises(BlindError, match="hidden"):
        lived(counted(2), stained(2), (Viewed(), "second", ""))
    assert lived(counted(2), stained(2), recounted(2)).may_see("anybody")


def test_a_recount_needs_20_nuclei():
    few = Recounted(totals=Counted(her2=57, cep17=27, nuclei=19), in_ihc_2_area=True)
    with pytest.raises(RequestError, match="at least 20"):
        lived(counted(2), stained(2), (few, "second", ""))


def test_a_reopened_case_keeps_who_has_seen_it_and_needs_a_reason():
    acts = counted(1), signed("positive")
    case = lived(*acts, (Reopened(), "head", "wrong slide"))
    assert (case.state, case.outcome, case.is_final) == (State.OPEN, None, False)
    assert "first" in case.seen_by
    with pytest.raises(RequestError, match="--reason"):
        lived(*acts, Reopened())


def test_a_changed_mark_needs_a_reason():
    marks = RegionsMarked(marks={"r00_c00/1": "invasive"})
    other = RegionsMarked(marks={"r00_c00/1": "normal"})
    with pytest.raises(RequestError, match="--reason"):
        lived(marks, other)
    case = lived(marks, (other, "second", "mistaken"))
    assert case.marks == {"r00_c00/1": "normal"}
    assert case.marked_by == ("first", "second")


def test_marks_cannot_change_under_an_accepted_count():
    with pytest.raises(StateError, match="reopen"):
        lived(counted(1), RegionsMarked(marks={"r00_c00/1": "invasive"}))


def test_only_moves_of_the_table_are_allowed():
    for state, event in product(State, Event):
        if event in NEXT[state]:
            assert advance(state, event) is NEXT[state][event]
        else:
            with pytest.raises(StateError, match="it allows"):
                advance(state, event)


@pytest.mark.parametrize("value", [-1, 4, 9])
def test_ihc_out_of_range_is_no_event(value):
    with pytest.raises(ValueError, match="0, 1, 2 or 3"):
        ihc(value)


# --- the record ----------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "review" / "case.jsonl"
    file = CaseFile(path, lambda: "2026-01-01T00:00:00Z")
    file.add(counted(2), by="first")
    file.add(stained(2), by="reader")
    file.add(recounted(2)[0], by="second")
    return path


def again(path):
    return CaseFile(path, lambda: "2026-01-02T00:00:00Z")


def test_a_case_is_what_its_record_says(file):
    assert again(file).case.outcome == "negative"
    assert again(file).case == again(file).case


def test_earlier_lines_stay_readable_after_a_reopening(file):
    before = file.read_text()
    again(file).add(Reopened(), by="head", reason="other block")
    assert file.read_text().startswith(before)


def test_a_refused_act_leaves_no_line(file):
    before = file.read_text()
    with pytest.raises(StateError):
        again(file).add(stained(3), by="reader")
    assert file.read_text() == before


@pytest.mark.parametrize("line", [0, 1])
def test_a_changed_line_breaks_the_chain(file, line):
    lines = file.read_text().splitlines()
    lines[line] = lines[line].replace('"by":"', '"by":"x')
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(IntegrityError, match="was changed or removed"):
        again(file)


def test_a_removed_line_breaks_the_chain(file):
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    with pytest.raises(IntegrityError, match="changed or removed"):
        again(file)


def test_a_torn_last_line_never_happened(file):
    file.write_text(file.read_text() + '{"version":1,"seq')
    assert again(file).case.recounted_by == "second"


def test_a_cut_tail_shows_in_the_head(file):
    head = again(file).head
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-1]) + "\n")
    assert again(file).head != head


def test_every_line_names_who_when_and_carries_the_banner(file):
    for line in file.read_text().splitlines():
        entry = json.loads(line)
        assert entry["by"]
        assert entry["utc"]
        assert "research use only" in entry["banner"]


def test_two_who_write_at_once_do_not_break_the_chain(file):
    mine, theirs = again(file), again(file)
    theirs.add(signed("negative")[0], by="head")
    with pytest.raises(StateError, match="meanwhile"):
        mine.add(Reopened(), by="other", reason="late")
    assert again(file).case.is_final


def test_an_empty_record_is_an_open_case(tmp_path):
    assert again(tmp_path / "none.jsonl").case == Case()
