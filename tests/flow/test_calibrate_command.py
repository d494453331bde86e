"""``her2sr calibrate`` as it is typed: guard, hardware process, card, sentences."""

import json
import os
from pathlib import Path

import pytest
import yaml
from microscopes import write_config
from short import short_folder

from her2sr_acq import cli
from her2sr_acq.calibrating import __main__ as worker
from her2sr_acq.calibrating.order import MeterStep, Order, Outcome, outcome_path
from her2sr_acq.calibrating.perform import Place, from_readings
from her2sr_acq.config import load
from her2sr_acq.engine.clock import Clock
from her2sr_proc.errors import DataError
from her2sr_proc.schema.calibration import CalibrationCard
from her2sr_proc.store.layout import DataFolder


def config_with(folder: Path, film: str, **changes: object) -> Path:
    path = write_config(
        "simulated",
        folder,
        size=64,
        film=film,
        time_scale=50.0,
        camera={"max_waiting": 20},
    )
    data = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump(data))
    return path


def her2sr(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_a_calibration_under_its_guard_leaves_a_card_and_darkness(
    tmp_path, capsys, monkeypatch
):
    with short_folder() as runtime:
        monkeypatch.setenv("HER2SR_RUNTIME", str(runtime))
        config, data = config_with(tmp_path, "uniform_film"), tmp_path / "data"
        asked = ("calibrate", "flat", "--config", config, "--data", data)
        assert her2sr(*asked, "--frames", 8, "--line", 561, "--json") == 0
        said = capsys.readouterr()
        result = json.loads(said.out)
        card = CalibrationCard.model_validate_json(Path(result["card"]).read_text())
        assert card.values["561"] == result["561"]
        assert card.simulated
        assert "561 nm" in said.err
        log = (data / "logs" / "guard.log").read_text()
        assert "not proven" not in log
        # the same once more, too bright: one sentence, and no second card
        assert her2sr(*asked, "--exposure-ms", 1000, "--percent", 60) == 2  # 405 line
        assert "above its limit" in capsys.readouterr().err
        assert len(list((data / "calibration" / "flat").glob("*.json"))) == 1


def test_an_option_that_means_nothing_to_a_kind_is_refused(tmp_path, capsys):
    config = config_with(tmp_path, "bead_film")
    asked = ("calibrate", "beads", "--config", config, "--data", tmp_path)
    assert her2sr(*asked, "--levels", 5) == 2
    assert "--levels means nothing to `her2sr calib" in capsys.readouterr().err
    assert her2sr(*asked, "--range-um", 99) == 2
    assert "'range_um'" in capsys.readouterr().err


def test_power_without_a_meter_needs_somebody_to_read_one(tmp_path, capsys):
    config = config_with(tmp_path, "bare_glass", meter=None)
    assert her2sr("calibrate", "power", "--config", config, "--data", tmp_path) == 2
    said = capsys.readouterr().err
    assert "has no power meter and there is nobody to read one" in said


def test_what_a_person_read_becomes_mw_per_percent(tmp_path):
    config = load(config_with(tmp_path, "bare_glass", meter=None))
    place = Place(DataFolder(tmp_path / "data"), config, "0" * 64, Clock())
    order = Order(kind="power")

    def steps(*mw):
        return tuple(
            MeterStep(laser_nm=561, percent=20.0 * (n + 1), mw=value)
            for n, value in enumerate(mw)
        )

    found = from_readings(order, steps(30.1, 60.0, 89.8), place)
    card = CalibrationCard.model_validate_json(Path(found.card).read_text())
    assert card.values["561"]["mw_per_percent"] == pytest.approx(1.499, abs=0.002)
    with pytest.raises(DataError, match="off a straight line"):
        from_readings(order, steps(30.1, 90.0, 30.0), place)
    with pytest.raises(DataError, match="shows no light of the 561 nm laser"):
        from_readings(order, steps(0.0, 0.0, 0.0), place)


def test_a_service_that_holds_the_folder_is_not_disturbed(tmp_path, capsys):
    from her2sr_acq.ownership import Hold, Holder

    data = tmp_path / "data"
    data.mkdir()
    config = config_with(tmp_path, "bead_film")
    mine = Holder(pid=os.getpid(), started_utc="", configuration="x", runtime="y")
    with Hold(data, mine):
        assert her2sr("calibrate", "beads", "--config", config, "--data", data) == 2
    assert "is held by process" in capsys.readouterr().err
    assert not (data / "calibration").exists()


def test_a_process_that_comes_after_a_crash_does_nothing_again(tmp_path):
    def never(*_):
        raise AssertionError("the hardware was opened again")

    here = str(tmp_path)
    where = ["--config", "simulated", "--data", here, "--runtime", here]
    options = worker._options([*where, "--guarded", "--after-crash", "1"])
    outcome = worker._outcome(options, worker.Reins(), never)
    assert "died during the calibration" in outcome.fault
    assert outcome.exit_code == 1
    assert isinstance(outcome, Outcome)
    assert not outcome_path(tmp_path).exists()
