"""What the engine asks the localizer, and what holds when no answer comes."""

import json
import time

from stations import protocol, request, rig

from her2sr_acq.engine.enquiry import BlockCounts, Enquiry, Nuclei, Unknown
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


def test_fields_that_give_ever_less_raise_an_alarm_once(tmp_path):
    with rig(tmp_path) as bench:
        names = [f"r00_c{n:02d}" for n in range(13)]
        bench.localizer.counts = {
            name: 100 if n < 5 else 30 for n, name in enumerate(names)
        }
        view = bench.take(request(plan=protocol(columns=13, frames=1)))
        events = list(read_lines(bench.station.data.run(view.id).events))
    alarms = [line for line in events if "gave 30 localizations each" in line]
    assert len(alarms) == 1
