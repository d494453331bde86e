"""A run is taken with the calibrations in force, says so, and is refused without."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fake_microscope import SIDE, make_config
from stations import protocol, request, rig

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.clock import Clock
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan.models import Protocol
from her2sr_proc.errors import DataError, IntegrityError
from her2sr_proc.live.recipe import Recipes
from her2sr_proc.schema.block import BlockHeader
from her2sr_proc.schema.calibration import (
    AffineTransform,
    CalibrationCard,
    ChannelRegistration,
    Registration,
)
from her2sr_proc.store.calibrations import camera_of, latest, write_calibration
from her2sr_proc.store.layout import DataFolder
from her2sr_proc.store.manifest import read_manifest

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def card(kind, *, age_days=1.0, side=SIDE, name="fake", **more) -> CalibrationCard:
    made = NOW - timedelta(days=age_days)
    return CalibrationCard(
        kind=kind,
        id=made.strftime("%Y%m%dT%H%M%SZ"),
        made_utc=made.isoformat(),
        operator="op",
        configuration=name,
        configuration_sha256="0" * 64,
        simulated=True,
        frame_height=side,
        frame_width=side,
        values={"what": 1.0},
        **more,
    )


def registration() -> Registration:
    colours = [
        ChannelRegistration(
            laser_nm=nm,
            to_reference=AffineTransform(x_nm=shift),
            fiducials=40,
            residual_nm=2.0,
            focus_offset_um=0.0,
            focus_error_um=0.001,
            focal_depth_um=0.26,
            spot_sigma_nm=90.0,
        )
        for nm, shift in ((561, 0.0), (405, 63.0))
    ]
    return Registration(channels=tuple(colours))


def maps(side=SIDE):
    place = np.arange(side * side, dtype=np.float32).reshape(side, side)
    return {
        "offset_adu": 100.0 + place,
        "e_per_adu": np.full((side, side), 0.46, np.float32),
        "variance_e2": np.full((side, side), 2.5, np.float32),
    }


def bench(folder, *, required=(), **station):
    config = make_config()
    more = {"calibration": {"required": list(required)}}
    config = DeviceConfig.model_validate(config.model_dump() | more)
    return rig(folder, config=config, clock=Clock(utc=lambda: NOW), **station)


def asking(kind) -> Protocol:
    plan = protocol(columns=1).model_dump()
    return Protocol.model_validate(plan | {"calibration": {"require": [kind]}})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "there is none; run `her2sr calibrate beads`"),
        ({"age_days": 8.0}, "8.0 days old and holds for 7, so it has expired"),
        ({"age_days": -1.0}, "is of the future; check the computer's clock"),
        ({"side": 32}, "is of 32 x 32 pixels and the camera has 16 x 16"),
        ({"name": "another"}, "is of 'another' and this is 'fake'"),
    ],
)
def test_a_run_without_the_calibration_it_requires_is_refused_untouched(
    tmp_path, made, words
):
    if made is not None:
        new = card("beads", registration=registration(), **made)
        write_calibration(DataFolder(tmp_path), new)
    with bench(tmp_path) as at:
        with pytest.raises(PlanRejectedError, match="requires the calibration") as said:
            at.desk.submit(request(plan=asking("beads")))
        assert words in str(said.value)
        assert not any(word.startswith(("on", "move")) for word in at.microscope.log)
        checks = at.desk.preflight(request(plan=asking("beads"))).checks
        assert [c.ok for c in checks if c.subject == "calibration"] == [False]


def test_a_configuration_can_require_it_of_every_run(tmp_path):
    with (
        bench(tmp_path, required=["camera"]) as at,
        pytest.raises(
            PlanRejectedError, match="fake requires the calibration 'camera'"
        ),
    ):
        at.desk.submit(request())


def test_maps_of_another_camera_are_not_used_and_the_run_says_so(tmp_path):
    write_calibration(DataFolder(tmp_path), card("camera", side=32), maps(32))
    with bench(tmp_path) as at:
        view = at.take(request(plan=protocol(columns=1)))
        run = DataFolder(tmp_path).run(view.folder)
        manifest = read_manifest(run)
    assert manifest.calibration.used == ()
    assert "32 x 32 pixels and the camera has 16 x 16" in manifest.calibration.unused[0]
    assert not run.camera_maps.exists()
    assert (camera_of(run, manifest).offset_adu == 100.0).all()


def test_a_run_carries_its_calibrations_and_is_localized_with_its_maps(tmp_path):
    data = DataFolder(tmp_path)
    write_calibration(data, card("camera", age_days=3), maps())
    write_calibration(data, card("beads", age_days=30, registration=registration()))
    with bench(tmp_path) as at:
        view = at.take(request(plan=protocol(columns=1)))
        run = data.run(view.folder)
        manifest = read_manifest(run)
        header = at.published[0]
    known = manifest.calibration
    assert [(u.kind, u.age_days, u.expired) for u in known.used] == [
        ("camera", 3.0, False),
        ("beads", 30.0, True),  # not required: used, and said
    ]
    assert known.used[0].values == {"what": 1.0}
    assert known.used[0].sha256 == latest(data, "camera").sha256
    assert known.registration == registration()
    assert camera_of(run, manifest).offset_adu[1, 2] == 118.0
    recipe = Recipes(data).of(BlockHeader.model_validate(header.model_dump()))
    assert recipe.camera.offset_adu[1, 2] == 118.0


def test_a_region_of_the_sensor_gets_its_part_of_the_maps(tmp_path):
    data = DataFolder(tmp_path)
    whole = {name: np.tile(a, (2, 2)) for name, a in maps().items()}
    write_calibration(data, card("camera", side=32), whole)
    plan = protocol(columns=1).model_dump() | {"camera": {"roi": [3, 5, 16, 16]}}
    config = DeviceConfig.model_validate(make_config(width=32, height=32).model_dump())
    with rig(tmp_path, config=config, clock=Clock(utc=lambda: NOW)) as at:
        at.microscope.camera.whole = (32, 32)
        view = at.take(request(plan=Protocol.model_validate(plan)))
        run = data.run(view.folder)
        manifest = read_manifest(run)
    assert manifest.calibration.crop == (3, 5)
    cut = whole["offset_adu"][5:21, 3:19]
    assert (camera_of(run, manifest).offset_adu == cut).all()


def test_maps_that_changed_since_the_run_are_not_localized_with(tmp_path):
    data = DataFolder(tmp_path)
    write_calibration(data, card("camera"), maps())
    with bench(tmp_path) as at:
        run = data.run(at.take(request(plan=protocol(columns=1))).folder)
    run.camera_maps.write_bytes(run.camera_maps.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="camera maps of run"):
        camera_of(run, read_manifest(run))


def test_calibrations_are_kept_and_the_newest_is_in_force(tmp_path):
    data = DataFolder(tmp_path)
    first = write_calibration(data, card("pixel"))
    second = write_calibration(data, card("pixel"))
    older = write_calibration(data, card("pixel", age_days=9))
    assert second.card.id == f"{first.card.id}-2"
    assert latest(data, "pixel") == second
    assert len({s.path for s in (first, second, older) if s.path.is_file()}) == 3
    assert latest(data, "flat") is None


def test_a_damaged_calibration_is_not_passed_over_for_an_older_one(tmp_path):
    data = DataFolder(tmp_path)
    write_calibration(data, card("camera", age_days=5), maps())
    newest = write_calibration(data, card("camera"), maps())
    newest.arrays.write_bytes(b"PK")
    with pytest.raises(IntegrityError, match="is not what its calibration"):
        latest(data, "camera")
    newest.path.write_text("{}")
    with pytest.raises(DataError, match="cannot be read; restore it from a copy"):
        latest(data, "camera")
