"""Violet light beside a burst: stepped, booked, permitted, and shut with everything."""

import json
from contextlib import contextmanager
from itertools import pairwise

import pytest
from fake_localizer import FakeLocalizer
from fake_microscope import FakeMicroscope, make_config
from stations import request, rig

from her2sr_acq.engine.states import RunState
from her2sr_acq.errors import DeviceError, GuardError, PlanRejectedError
from her2sr_acq.guard.ports import Unguarded
from her2sr_acq.plan import limits
from her2sr_acq.plan.models import Protocol
from her2sr_acq.stream.envelope import Answer
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import read_lines

FRAMES, BLOCK = 100, 10


class Plant(FakeLocalizer):
    """Emitters a frame grow with the root of the violet power; none without any."""

    microscope: FakeMicroscope

    def _localizations(self, unit):
        # asked at the end of a block, which is counted at once
        blocks = self.microscope.camera.due // BLOCK
        power = self.microscope.violet
        self.counts.setdefault(str(blocks - 1), round(BLOCK * 10 * power**0.5))
        return Answer(ok=True, body={"blocks": dict(self.counts), "written": blocks})


class Violet(FakeMicroscope):
    """Knows the power of its violet line."""

    @property
    def violet(self) -> float:
        set_to = [c for c in self.log if c.startswith("power 405")]
        return float(set_to[-1].split()[-1]) if self.lasers[405].lit else 0.0


class Permits(Unguarded):
    """Writes down what is permitted, and may refuse a line."""

    def __init__(self, refused: int = 0) -> None:
        super().__init__()
        self.refused = refused
        self.said: list[str] = []

    def permit(self, nm, *, seconds):
        super().permit(nm, seconds=seconds)
        if nm == self.refused:
            raise GuardError(f"no light on {nm} nm")
        self.said.append(f"permit {nm}")

    def release(self):
        self.said.append("release")


def plan(**changes) -> Protocol:
    channel = {"name": "561", "probe": "HER2", "laser_nm": 561, "role": "signal"}
    channel |= {"power_percent": 40, "exposure_ms": 90, "frames": FRAMES}
    channel["activation"] = {"per_frame": 20.0, **changes.pop("activation", {})}
    channels = [channel, *changes.pop("more", [])]
    body = {"name": "act", "grid": {"centre": [0.0, 0.0]}, "channels": channels}
    return Protocol.model_validate(body | changes)


@contextmanager
def bench(tmp_path, *, guard=None, localizer=None, **changes):
    microscope = Violet()
    plant = localizer or Plant()
    plant.microscope = microscope
    guard = guard or Permits()
    with rig(tmp_path, microscope=microscope, localizer=plant, guard=guard) as engine:
        yield engine, request(plan=plan(**changes)), guard, microscope


def record(engine, run):
    (history,) = read_ledger(engine.station.data.run(run).ledger).values()
    return history.verdict


def test_the_power_is_stepped_until_the_density_is_the_set_one(tmp_path):
    with bench(tmp_path) as (engine, asked, guard, microscope):
        view = engine.take(asked)
        unit = record(engine, view.id)
        folder = engine.station.data.run(view.id)
        doses = [json.loads(line) for line in read_lines(folder.dose)]
    assert view.state is RunState.COMPLETED, view.reason
    steps = unit.activation
    assert [(s.frame, s.power_percent) for s in steps[:2]] == [(0, 0.0), (10, 1.0)]
    assert steps[-1].power_percent == pytest.approx(4.0, rel=0.1)  # 10 * root of 4
    assert all(b.frame > a.frame for a, b in pairwise(steps))
    violet = [d for d in doses if d["purpose"] == "activation"]
    assert {d["nm"] for d in violet} == {405}
    assert sum(d["frames"] for d in violet) == FRAMES - 10
    assert [d["power_percent"] for d in violet] == pytest.approx(
        [s.power_percent for s in steps[1:]], rel=1e-3
    )
    assert guard.said == ["permit 561", "permit 405", "release"]
    assert not microscope.is_lit


def test_the_power_is_set_while_its_line_is_dark(tmp_path):
    with bench(tmp_path) as (engine, asked, _, microscope):
        engine.take(asked)
        log = microscope.log
    for n, call in enumerate(log):
        if call.startswith("power 405"):
            before = [c for c in log[:n] if c in ("on 405", "off 405")]
            assert before[-1] == "off 405"


def test_a_line_that_is_not_permitted_leaves_every_line_dark(tmp_path):
    with bench(tmp_path, guard=Permits(refused=405)) as (engine, asked, guard, scope):
        engine.desk.submit(asked)
        view = engine.until("paused")
        engine.desk.helm.stop(view.id)
        engine.finish()
    assert "no light on 405 nm" in view.reason
    assert guard.said == ["permit 561", "release"]
    assert "on 561" not in scope.log


def test_a_localizer_that_is_silent_holds_the_power(tmp_path):
    class Falling(Plant):
        def _localizations(self, unit):
            if self.microscope.camera.due > 30:
                raise_silence()
            return super()._localizations(unit)

    def raise_silence():
        from her2sr_acq.errors import ServiceUnavailableError

        raise ServiceUnavailableError("no answer")

    with bench(tmp_path, localizer=Falling()) as (engine, asked, *_):
        view = engine.take(asked)
        unit = record(engine, view.id)
    assert view.state is RunState.COMPLETED
    assert unit.activation[-1].frame <= 30
    assert unit.activation[-1].power_percent >= 1.0


def test_an_estop_in_the_burst_puts_both_lines_out(tmp_path):
    with bench(tmp_path) as (engine, asked, _, microscope):

        def stop(index):
            if index == 55:
                assert microscope.lasers[405].lit
                engine.station.safety.order_dark("e-stop by a person")

        microscope.camera.on_frame = stop
        engine.desk.submit(asked)
        view = engine.until("paused")
        assert not microscope.is_lit
        after = microscope.log[microscope.log.index("dark", 10) :]
        engine.desk.helm.stop(view.id)
        engine.finish()
    assert "e-stop by a person" in view.reason
    assert not any(call.startswith("on ") for call in after)


def test_a_violet_line_that_fails_ends_the_burst_dark_and_says_so(tmp_path):
    with bench(tmp_path) as (engine, asked, _, microscope):

        def refuse(percent):
            raise DeviceError("the 405 nm laser reports another power")

        microscope.lasers[405].set_power = refuse
        view = engine.take(asked)
        unit = record(engine, view.id)
    assert unit.state == "partial"
    assert "the 405 nm laser reports another power" in unit.reason
    assert not microscope.is_lit


DAPI = {"name": "405", "probe": "DAPI", "laser_nm": 405, "role": "nuclei"}
DAPI |= {"power_percent": 20, "exposure_ms": 30, "frames": 10}
TILE = FieldFacts(name="r00_c00", row=0, column=0, x_um=0, y_um=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"more": [DAPI]}, "turns DAPI into green blinkers", id="dapi"),
        pytest.param(
            {"activation": {"most_percent": 80}}, "whose limit is 60 %", id="power"
        ),
    ],
)
def test_activation_that_would_spoil_or_burn_is_refused(changes, said):
    with pytest.raises(PlanRejectedError, match=said):
        limits.check(plan(**changes), (TILE,), make_config(), free_bytes=2**40)
