"""What a protocol says beside its bursts: planes, stacks, stops, order of light."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from fake_localizer import FakeLocalizer
from fake_microscope import FakeFocus, FakeMicroscope, make_config
from focus_trials import Trial, trial
from short import short_folder
from stations import protocol, request, rig

from her2sr_acq.config_focus import FocusLockConfig
from her2sr_acq.engine.states import RunState
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.errors import DeviceError, PlanRejectedError
from her2sr_acq.plan import limits
from her2sr_acq.plan.models import Protocol
from her2sr_acq.stream.envelope import Answer, Fault
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.focus_stack import read_focus_stack
from her2sr_proc.store.ledger import read_ledger
from her2sr_proc.store.lines import read_lines
from her2sr_proc.store.manifest import read_manifest

SIGNALS = [
    {"name": "561", "probe": "HER2", "laser_nm": 561, "role": "signal"},
    {"name": "488", "probe": "CEP17", "laser_nm": 488, "role": "signal"},
]


def plan(*, focus=None, frames=30, offsets=(0.0, 0.0), columns=1, **more) -> Protocol:
    light = {"power_percent": 40, "exposure_ms": 30, "frames": frames}
    channels = [
        {**channel, **light, "z_offset_um": um}
        for channel, um in zip(SIGNALS, offsets, strict=True)
    ]
    grid = {"rows": 1, "columns": columns, "centre": [0.0, 0.0]}
    body = {"name": "rules", "grid": grid, "channels": channels, **more}
    return Protocol.model_validate(body | {"focus": focus or {"method": "none"}})


def asked(**said) -> RunRequest:
    return request(plan=plan(**said))


@contextmanager
def slide(**lock: object) -> Iterator[Trial]:
    flat = {"tilt_x_mrad": 0.0, "tilt_y_mrad": 0.0, "drift_z_nm_per_min": 0.0}
    with (
        short_folder() as folder,
        trial(
            folder,
            size=96,
            specimen="high_amplified",
            stage=flat,
            sample={"section_um": 0.2, "strays_per_um2": 2.0},
            optics={"chromatic": False},
            lock=lock,
        ) as lab,
    ):
        yield lab


@pytest.mark.parametrize("method", ["none", "hardware"])
def test_a_channel_is_taken_in_its_own_plane_and_the_focus_comes_back(method):
    with slide() as lab:
        said = asked(focus={"method": method}, offsets=(0.0, -0.4), columns=2)
        view = lab.engine.take(said)
        units = list(lab.engine.units(view.id).values())
    assert view.state is RunState.COMPLETED, view.reason
    assert lab.onlooker.out_um == pytest.approx([0.0, -0.4, 0.0, -0.4], abs=0.05)
    assert [u.focus.z_offset_um for u in units] == [0.0, -0.4, 0.0, -0.4]
    assert len({u.focus.held_since_utc for u in units}) == 1
    assert units[1].focus.z_um == pytest.approx(units[0].focus.z_um - 0.4, abs=0.05)
    assert units[1].focus.z_end_um == pytest.approx(units[1].focus.z_um, abs=0.05)
    assert lab.focus.absolute == 0


def test_a_plane_beyond_the_limits_costs_its_unit_and_moves_nothing():
    low, high = make_config().focus.z_um
    microscope = FakeMicroscope()

    class Limited(FakeFocus):
        def move_by(self, *, dz_um):
            if not low <= self.z_um + dz_um <= high:
                raise DeviceError("z is outside its limits")
            super().move_by(dz_um=dz_um)

    microscope.focus = Limited(z_um=low + 1.0)
    with short_folder() as folder, rig(folder, microscope=microscope) as bench:
        view = bench.take(asked(offsets=(0.0, -2.0)))
        units = bench.units(view.id)
    assert units["r00_c00/561"].state == "complete"
    assert "the plane -2 um away was not reached" in units["r00_c00/488"].reason
    assert microscope.focus.z_um == low + 1.0
    assert "on 488" not in microscope.log


def test_a_drive_that_fails_on_its_way_back_holds_the_run_with_the_burst_kept():
    microscope = FakeMicroscope()

    class Stuck(FakeFocus):
        def move_by(self, *, dz_um):
            if dz_um > 0.0:
                raise DeviceError("the drive does not move")
            super().move_by(dz_um=dz_um)

    microscope.focus = Stuck()
    with short_folder() as folder, rig(folder, microscope=microscope) as bench:
        bench.desk.submit(asked(offsets=(-0.5, 0.0)))
        view = bench.until("paused")
        units = bench.units(view.id)
        bench.desk.helm.stop(view.id)
        bench.finish()
    assert "left up to 0.50 um away from its plane" in view.reason
    assert units["r00_c00/561"].state == "complete"


STACK = {"planes": 7, "step_um": 0.5, "frames": 3}


BY_STAGE = {"offset_device": "LockOffset", "offset_property": None}


def test_planes_and_stacks_are_reached_by_the_locks_own_offset_and_it_is_put_back():
    with slide(**BY_STAGE, offset_unit_um=-0.025) as lab:
        lock = lab.engine.station.hardware.lock
        before_um = lock.offset_um()
        said = asked(
            focus={"method": "hardware"}, offsets=(0.0, -0.4), through_focus=STACK
        )
        view = lab.engine.take(said)
        after_um = lock.offset_um()
        folder = lab.engine.station.data.run(view.id)
        stacks = [h.verdict.stack for h in read_ledger(folder.ledger).values()]
    assert view.state is RunState.COMPLETED, view.reason
    middles, ends = lab.onlooker.out_um[3::8], lab.onlooker.out_um[7::8]
    assert middles == pytest.approx([0.0, -0.4], abs=0.05)
    assert ends == pytest.approx([0.0, -0.4], abs=0.05)
    assert [np.ptp(s.z_um) for s in stacks] == pytest.approx([3.0, 3.0], abs=0.05)
    assert after_um == pytest.approx(before_um, abs=0.03)
    assert lab.focus.absolute == 0


def test_an_offset_that_goes_the_wrong_way_costs_its_unit_and_is_put_back():
    with slide(**BY_STAGE, offset_unit_um=0.025) as lab:
        lock = lab.engine.station.hardware.lock
        before_um = lock.offset_um()
        said = asked(focus={"method": "hardware"}, offsets=(0.0, -0.4))
        view = lab.engine.take(said)
        units = lab.engine.units(view.id)
        after_um = lock.offset_um()
    assert units["r00_c00/561"].state == "complete"
    why = units["r00_c00/488"].reason
    assert "its plane was changed by -0.4 um, and the drive went +0.40 um" in why
    assert "check the lock and focus.lock.offset_unit_um" in why
    assert after_um == pytest.approx(before_um, abs=0.03)
    assert len(lab.onlooker.out_um) == 1


def test_a_stack_stands_with_its_unit_its_light_is_booked_and_it_finds_the_focus():
    with slide() as lab:
        view = lab.engine.take(asked(offsets=(0.0, 0.3), through_focus=STACK))
        folder = lab.engine.station.data.run(view.id)
        records = {k.channel: h.verdict for k, h in read_ledger(folder.ledger).items()}
        pictures = {
            key.channel: read_focus_stack(folder.focus_stack(key))
            for key in read_ledger(folder.ledger)
        }
        doses = [json.loads(line) for line in read_lines(folder.dose)]
        sound = verify(folder, lambda *_: None).damage
        path = folder.focus_stack(next(iter(read_ledger(folder.ledger))))
        path.write_bytes(path.read_bytes()[:-1])
        torn = verify(folder, lambda *_: None).damage
    assert view.state is RunState.COMPLETED, view.reason
    for channel, (frames, z_um) in pictures.items():
        assert frames.shape == (21, 96, 96)
        assert np.diff(z_um) == pytest.approx([0.5] * 6, abs=0.02)
        assert records[channel].stack.z_um == pytest.approx(z_um)
    assert records["561"].stack.best_um == pytest.approx(0.0, abs=0.15)
    assert records["488"].stack.best_um == pytest.approx(-0.3, abs=0.2)
    stacks = [d for d in doses if d["purpose"] == "stack"]
    assert len(stacks) == 14
    assert sum(d["frames"] for d in stacks) == 42
    assert {d["light_s"] for d in stacks} == {0.09}
    assert sound == ()
    assert "the stack through the focus of r00_c00/561 is not as it was" in torn[0]


class Counting(FakeLocalizer):
    """Tells, field by field, how many nuclei may be scored by now."""

    a_field = 12
    width = None
    knows = True

    def __call__(self, address, verb, body, *, deadline_s):
        if verb != "scorable":
            return super().__call__(address, verb, body, deadline_s=deadline_s)
        if not self.knows:
            return Answer(ok=False, error=Fault(code="bad-state", message="not yet"))
        done = [b["field"] for v, b in self.asked if v == "close_field"]
        fields = dict.fromkeys(done, self.a_field)
        total = sum(fields.values())
        return Answer(
            ok=True, body={"fields": fields, "nuclei": total, "width": self.width}
        )


def spread(rule, **more):
    """Five fields, 100 um from each other."""
    places = [[100.0 * n - 200.0, 0.0] for n in range(5)]
    body = protocol().model_dump(mode="json")
    body |= {"grid": {"positions": places}, "stop_when": rule, **more}
    return request(plan=Protocol.model_validate(body))


def stopped(rule, localizer, tmp_path):
    with rig(tmp_path, localizer=localizer) as bench:
        view = bench.take(spread(rule))
        units = list(bench.units(view.id).values())
        folder = bench.station.data.run(view.id)
        manifest = read_manifest(folder)
        events = [json.loads(line) for line in read_lines(folder.events)]
    looks = [e["data"] for e in events if e["kind"] == "look"]
    return view, units, manifest.stopped_early, looks


def test_a_run_stops_at_a_look_when_enough_nuclei_are_in_two_areas(tmp_path):
    rule = {"nuclei": 30, "looks": [20, 30], "areas_apart_um": 150}
    view, units, stop, looks = stopped(rule, Counting(), tmp_path)
    assert view.state is RunState.COMPLETED, view.reason
    assert view.frames_requested == view.frames_done == 3 * 80
    assert [u.state for u in units] == ["complete"] * 6 + ["skipped"] * 4
    assert (stop.look, stop.nuclei, stop.areas) == (30, 36, 2)
    assert (stop.fields_taken, stop.fields_left) == (3, 2)
    assert {u.reason for u in units[6:]} == {stop.reason}
    assert [look["look"] for look in looks] == [30]


def test_without_a_second_area_no_look_is_taken(tmp_path):
    rule = {"nuclei": 12, "areas_apart_um": 400}
    view, _, stop, looks = stopped(rule, Counting(), tmp_path)
    assert view.state is RunState.COMPLETED
    assert stop is None
    assert [look["nuclei"] for look in looks] == [60]  # with the last field


def test_a_width_is_looked_at_once_a_look_and_is_no_reason_between_looks(tmp_path):
    localizer = Counting()
    localizer.width = 0.9
    rule = {"width": 0.5, "looks": [20, 60], "areas_apart_um": 50}
    _, _, stop, looks = stopped(rule, localizer, tmp_path)
    assert stop is None  # the second look comes with the last field
    assert [(look["nuclei"], look["met"]) for look in looks] == [
        (24, False),
        (60, False),
    ]


def test_a_narrow_interval_stops_and_the_record_holds_its_width(tmp_path):
    localizer = Counting()
    localizer.width = 0.4
    rule = {"width": 0.5, "looks": [20, 60], "areas_apart_um": 50}
    _, units, stop, _ = stopped(rule, localizer, tmp_path)
    assert (stop.look, stop.interval_width) == (20, 0.4)
    assert sum(u.state == "skipped" for u in units) == 6


def test_without_an_answer_the_run_goes_on_to_its_end(tmp_path):
    localizer = Counting()
    localizer.knows = False
    view, units, stop, _ = stopped(
        {"nuclei": 12, "areas_apart_um": 50}, localizer, tmp_path
    )
    assert view.state is RunState.COMPLETED
    assert stop is None
    assert {u.state for u in units} == {"complete"}


def test_what_was_stopped_early_may_be_taken_again(tmp_path):
    rule = {"nuclei": 24, "areas_apart_um": 50}
    with rig(tmp_path, localizer=Counting()) as bench:
        view = bench.take(spread(rule))
        bench.desk.helm.retake(view.id, "r00_c00", None)
        bench.desk.start_due()
        view = bench.finish()
        units = bench.units(view.id)
    assert units["r00_c00/561"].attempt == 2
    assert units["r00_c00/561"].state == "complete"


def check(body: Protocol, tiles=None, config=None) -> None:
    tiles = tiles or (FieldFacts(name="r00_c00", row=0, column=0, x_um=0, y_um=0),)
    limits.check(body, tiles, config or make_config(), free_bytes=2**40)


def test_fields_that_lie_together_cannot_meet_a_rule_on_two_areas():
    with pytest.raises(PlanRejectedError, match="the fields lie within 0 um"):
        check(plan(stop_when={"nuclei": 40}))


def test_the_shorter_wavelength_first_is_refused_with_the_cure():
    body = plan().model_dump(mode="json")
    body["channels"] = body["channels"][::-1]
    with pytest.raises(PlanRejectedError, match=r"488 .* comes before 561 .* take 561"):
        check(Protocol.model_validate(body))


def test_a_lock_whose_plane_cannot_be_chosen_allows_no_offset():
    data = make_config().model_dump(mode="json")
    data["focus"]["lock"] = {"label": "PFS", "kind": "autofocus"}
    config = type(make_config()).model_validate(data)
    with pytest.raises(PlanRejectedError, match="that plane cannot be chosen in um"):
        check(plan(focus={"method": "hardware"}, offsets=(0.0, 0.2)), config=config)


def test_planes_beyond_the_range_of_the_locks_offset_are_refused():
    data = make_config().model_dump(mode="json")
    lock = {"label": "PFS", "kind": "autofocus", "offset_unit_um": 0.1}
    data["focus"]["lock"] = lock | {"offset_um": [5.0, 7.0]}
    config = type(make_config()).model_validate(data)
    by_lock = plan(focus={"method": "hardware"}, through_focus=STACK)
    with pytest.raises(PlanRejectedError, match="the focus lock goes from 5 to 7 um"):
        check(by_lock, config=config)
    check(plan(focus={"method": "hardware"}, offsets=(0.0, 0.2)), config=config)


@pytest.mark.parametrize(
    ("lock", "cure"),
    [
        ({"offset_unit_um": 0.0}, "not 0"),
        ({"offset_device": "O"}, "needs 'offset_unit_um'"),
        ({"offset_device": "O", "offset_property": "P"}, "not both"),
        ({"offset_um": (2.0, 1.0)}, "from low to high"),
    ],
)
def test_what_makes_no_sense_of_an_offset_is_said(lock, cure):
    with pytest.raises(ValueError, match=cure):
        FocusLockConfig(label="L", state_property="S", **lock)


def test_a_stack_higher_than_the_drive_goes_is_refused():
    data = make_config().model_dump(mode="json")
    data["focus"]["z_um"] = [-1.0, 1.0]
    config = type(make_config()).model_validate(data)
    with pytest.raises(PlanRejectedError, match=r"through_focus asks for 1\.5 um up"):
        check(plan(through_focus=STACK), config=config)
