"""What the engine asks the localizer, and what holds when no answer comes."""

import json
import time

import numpy as np
from stations import protocol, request, rig

from her2sr_acq.engine.enquiry import BlockCounts, Enquiry, Nuclei, Unknown
from her2sr_acq.engine.fading import FIRST, LAST, has_faded
from her2sr_acq.errors import ServiceUnavailableError
from her2sr_acq.stream.envelope import Answer, Fault
from her2sr_proc.live.jobs import Jobs
from her2sr_proc.live.questions import Answerer
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store.lines import read_lines

UNIT = UnitKey(run="r1", field="r00_c00", channel="561", attempt=1)


class Known:
    def localizations(self, unit):
        return {"blocks": {"0": 12, "1": 9}, "written": 2}

    def summary(self, unit):
        return {"localizations": 21, "frames": 40}

    def nuclei(self, unit):
        return {"nuclei": 1, "centres_px": [[4.0, 5.0]]}


class Turning:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def through(answerer):
    """Return what asks an answerer without a socket between."""

    def ask(address, verb, body, *, deadline_s):
        said = answerer.answer(json.dumps({"verb": verb, "body": body}).encode())
        return Answer.model_validate(said)

    return ask


def enquiry(ask) -> Enquiry:
    clock = Turning()
    return Enquiry("ipc://nowhere", clock, clock.sleep, ask)


def test_counts_by_block_and_the_summary_come_at_once():
    with Jobs() as jobs:
        asks = enquiry(through(Answerer(jobs, None, dict, Known())))
        found = asks.localizations(UNIT)
        assert isinstance(found, BlockCounts)
        assert found.blocks == {0: 12, 1: 9}
        assert asks.summary(UNIT).localizations == 21


def test_nuclei_are_sought_by_a_job_and_asked_for_again():
    with Jobs() as jobs:
        asks = enquiry(through(Answerer(jobs, None, dict, Known())))
        asks._sleep = lambda seconds: time.sleep(0.01)
        found = asks.nuclei(UNIT, deadline_s=5.0)
    assert isinstance(found, Nuclei)
    assert found.centres_px == ((4.0, 5.0),)


def test_a_search_that_takes_too_long_is_no_answer_with_a_fall_back():
    def busy(address, verb, body, *, deadline_s):
        return Answer(ok=True, body={"done": False})

    found = enquiry(busy).nuclei(UNIT, deadline_s=3.0)
    assert found == Unknown(
        "no answer within 3 s",
        "the field counts as one with nuclei, so that none is lost",
    )


def test_silence_refusal_and_nonsense_are_no_answers():
    def silent(address, verb, body, *, deadline_s):
        raise ServiceUnavailableError("no answer to it")

    def refusing(address, verb, body, *, deadline_s):
        return Answer(ok=False, error=Fault(code="bad-state", message="not yet"))

    def babbling(address, verb, body, *, deadline_s):
        return Answer(ok=True, body={"blocks": "many"})

    said = [
        enquiry(how).localizations(UNIT).why for how in (silent, refusing, babbling)
    ]
    assert said == [
        "no answer to it",
        "not yet",
        "the localizer's answer cannot be understood",
    ]


def faded(tmp_path, counts):
    with rig(tmp_path) as bench:
        names = [f"r00_c{n:02d}" for n in range(len(counts) + 1)]
        bench.localizer.counts = dict(zip(names, counts, strict=False))
        view = bench.take(request(plan=protocol(columns=len(names), frames=1)))
        events = list(read_lines(bench.station.data.run(view.id).events))
    told = [json.loads(line) for line in events]
    return view, [e["data"]["why"] for e in told if e["kind"] == "alarm"]


def test_fields_that_give_ever_less_raise_an_alarm_once(tmp_path):
    view, alarms = faded(tmp_path, [100] * 10 + [30] * 8)
    (said,) = alarms
    assert "561: each of the last 5 fields gave fewer localizations" in said
    assert view.alarms == (said,)
    assert view.state == "completed"


def test_one_field_that_gives_as_much_as_before_is_no_alarm(tmp_path):
    view, alarms = faded(tmp_path, [100] * 10 + [30, 30, 100, 30, 30, 30, 30])
    assert (alarms, view.alarms) == ([], ())


def test_a_loss_that_does_not_matter_is_no_alarm():
    assert not has_faded([100] * 10 + [80] * 5)
    assert has_faded([100] * 10 + [74] * 5)


def test_of_nights_in_which_nothing_fades_few_raise_an_alarm():
    """Fields scatter by two thirds, so that size alone keeps no alarm away."""
    generator = np.random.default_rng(7)
    nights = np.rint(generator.lognormal(6.0, 0.6, (1000, 100))).astype(int).tolist()
    false = sum(
        any(has_faded(night[:n]) for n in range(FIRST + LAST, 101)) for night in nights
    )
    assert 5 <= false <= 30  # of 86 looks of 1 in 3,003, at most 2.9 %
