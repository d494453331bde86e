"""Every exposure is in the dose ledger, and the pictures prove the light."""

import json

import numpy as np
import pytest
from fake_microscope import FakeMicroscope, make_config
from focus_trials import Trial, order, trial
from short import short_folder
from stations import protocol, request, rig

from her2sr_acq.config_light import SampleLight
from her2sr_acq.devices.ports import Frame
from her2sr_acq.engine.dose import DoseBook
from her2sr_acq.engine.evidence import LightProof
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan import limits
from her2sr_acq.plan.models import Protocol
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.lines import read_lines
from simulators.faults.options import FaultOptions

USUAL = (0.15, 2.5)


def light(step_adu: tuple[float, float] | None) -> SampleLight:
    return SampleLight(step_adu=step_adu)


def proof(step_adu: tuple[float, float] | None = USUAL) -> LightProof:
    channel = protocol().channels[0]
    return LightProof(channel, light(step_adu), CameraModel(), 100.0)


def frame(index: int, adu: float) -> Frame:
    return Frame(index, 0.0, np.full((64, 64), adu, np.uint16))


@pytest.mark.parametrize(
    ("adu", "said"),
    [
        pytest.param(100 + 3600 * 0.5, "", id="as usual"),
        pytest.param(100, "as dark with the 561 nm laser on as without it", id="dark"),
        pytest.param(100 + 3600 * 0.06, "are darker than 40 %", id="an eighth"),
        pytest.param(100 + 3600 * 4, "are brighter than 40 %", id="a lamp"),
    ],
)
def test_the_step_from_dark_to_lit_is_held_against_what_is_usual(adu, said):
    witness = proof()
    for index in range(5):
        witness.frame(frame(index, adu))
    found = witness.verdict()
    assert found == "" if said == "" else said in found


def test_light_that_goes_out_in_a_burst_is_seen_at_the_next_block():
    witness = proof()
    for index in range(5):
        witness.frame(frame(index, 1900.0))
    witness.block(frame(9, 1800.0))
    witness.block(frame(19, 100.0))
    assert "the light went out before frame 19" in witness.verdict()


def test_where_nothing_usual_is_known_nothing_is_held_against_a_burst():
    witness = proof(None)
    witness.frame(frame(0, 100.0))
    assert witness.verdict() == ""


def test_a_laser_that_reads_back_forty_percent_and_emits_five_is_not_scorable():
    with short_folder() as folder, trial(folder, step_adu=list(USUAL)) as lab:
        good = lab.engine.take(order({"method": "none"}))
        weak = {"device": "laser", "kind": "weak", "nm": 561, "value": 0.125}
        lab.client.inject(FaultOptions.model_validate(weak))
        fresh = order({"method": "none"}, centre=[200.0, 0.0])
        lab.engine.desk._token = lambda n: "cd34"
        bad = lab.engine.take(fresh)
        (first,) = lab.engine.units(good.id).values()
        (second,) = lab.engine.units(bad.id).values()
    assert first.not_scorable == ""
    assert second.state is UnitState.COMPLETE
    assert "are darker than 40 % of the 561 nm laser make tissue" in second.not_scorable


def lines(lab: Trial, run: str) -> list[dict]:
    path = lab.engine.station.data.run(run).dose
    return [json.loads(line) for line in read_lines(path)]


def test_the_dose_ledger_is_the_simulators_own_count_within_a_percent():
    with (
        short_folder() as folder,
        trial(folder, size=96, specimen="high_amplified") as lab,
    ):
        asked = order({"method": "image"}, rows=2, columns=2)
        view = lab.engine.take(asked)
        config = lab.engine.station.config
        book = DoseBook(config, lab.engine.station.data.run(view.id).dose)
        doses = lab.microscope._instrument._world.doses
        for tile in lab.engine.desk.fields(view.id):
            true = doses.at(tile.x_um, tile.y_um)
            assert book.at(tile.x_um, tile.y_um, 561) == pytest.approx(
                true[561] + neighbours(book, tile, lab, view.id), rel=0.01
            )
            assert true[405] == true[488] == 0.0
        assert doses.at(60.0, 60.0)[561] == 0.0
        written = {line["purpose"] for line in lines(lab, view.id)}
    assert written == {"focus", "burst"}


def neighbours(book: DoseBook, tile, lab: Trial, run: str) -> float:
    """Return what the book holds of the edges alone: the middle had none of it."""
    own = sum(
        line["light_s"] * line["power_percent"] / 100.0
        for line in lines(lab, run)
        if (line["x_um"], line["y_um"]) == (tile.x_um, tile.y_um)
    )
    return book.at(tile.x_um, tile.y_um, 561) - own


def test_a_field_at_its_ceiling_gets_no_more_light(tmp_path):
    data = make_config().model_dump()
    for laser in data["lasers"]:
        laser["sample"]["ceiling_s"] = 1.5  # a burst is 40 x 90 ms of 40 %: 1.44 s
        laser["sample"]["is_gated"] = True
    config = make_config().model_validate(data)
    twice = protocol(columns=1).model_dump(mode="json")
    again = twice["channels"][0] | {"name": "561b"}
    twice["channels"].insert(1, again)
    microscope = FakeMicroscope()
    with rig(tmp_path, microscope=microscope, config=config) as bench:
        view = bench.take(request(plan=Protocol.model_validate(twice)))
        units = bench.units(view.id)
    assert units["r00_c00/561"].state is UnitState.COMPLETE
    assert units["r00_c00/561b"].state is UnitState.FAILED
    assert "has had 1.44 s of full power at 561 nm" in units["r00_c00/561b"].reason
    assert microscope.log.count("on 561") == 1


def refused(**changes: object) -> str:
    data = protocol().model_dump(mode="json") | changes
    plan = Protocol.model_validate(data)
    with pytest.raises(PlanRejectedError) as caught:
        limits.check(plan, (), make_config(), free_bytes=10**15)
    return str(caught.value)


def test_violet_light_before_the_signals_is_refused():
    signal, violet = protocol().model_dump(mode="json")["channels"]
    said = refused(channels=[violet, signal])
    assert "turns DAPI into green blinkers" in said


def test_a_focus_that_this_microscope_cannot_do_is_refused_before_anything_moves():
    assert "has no focus lock" in refused(focus={"method": "hardware"})
    assert "spoils the signals" in refused(focus={"method": "image", "laser_nm": 405})
    assert "laser of 640 nm" in refused(focus={"method": "image", "laser_nm": 640})
    strong = {"method": "map", "power_percent": 80}
    assert "whose limit is 60 %" in refused(focus=strong)
