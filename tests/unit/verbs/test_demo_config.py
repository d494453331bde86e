"""The demo's configuration is the packaged one, made to size and kept with the data."""

import pytest

from her2sr_acq.config import load
from her2sr_acq.errors import PlanRejectedError, RunConflictError
from her2sr_acq.ownership import Hold, Holder
from her2sr_acq.verbs.demo_config import (
    DemoOptions,
    parse_fields,
    planned,
    write_configuration,
    written,
)


def test_size_seed_and_kinetics_go_into_the_configuration(tmp_path):
    options = DemoOptions(out=tmp_path, size_px=128, frames=500, seed=7)
    config = load(write_configuration(options))
    assert (config.camera.width, config.camera.height) == (128, 128)
    assert config.simulator is not None
    told = config.simulator.options
    assert (told["width"], told["height"], told["seed"]) == (128, 128, 7)
    assert told["kinetics_factor"] == 10.0


def test_a_full_burst_is_not_slowed_down(tmp_path):
    assert DemoOptions(out=tmp_path, frames=5000).kinetics_factor == 1.0


def test_real_time_is_the_wall_clock(tmp_path):
    config = load(write_configuration(DemoOptions(out=tmp_path, is_real_time=True)))
    assert config.simulator is not None
    assert config.simulator.options["time_scale"] == 1.0


def test_the_hardware_file_stands_beside_it(tmp_path):
    path = write_configuration(DemoOptions(out=tmp_path))
    assert (path.parent / load(path).mmcore.cfg).is_file()


def test_the_truth_of_a_former_demo_is_gone(tmp_path):
    stale = tmp_path / "configuration" / "truth" / "nuclei.parquet"
    stale.parent.mkdir(parents=True)
    stale.touch()
    write_configuration(DemoOptions(out=tmp_path))
    assert not stale.exists()


def test_what_is_planned_is_what_is_written(tmp_path):
    options = DemoOptions(out=tmp_path, size_px=128, seed=3)
    before = planned(options)
    assert not (tmp_path / "configuration").exists()
    assert load(write_configuration(options)) == before


def test_a_second_demo_leaves_the_configuration_of_the_first_alone(tmp_path):
    with written(DemoOptions(out=tmp_path, seed=1)) as path:
        truth = path.parent / "truth"
        truth.mkdir()
        before = path.read_bytes()
        with pytest.raises(RunConflictError, match=r"by another demo.*--out"):
            written(DemoOptions(out=tmp_path, seed=2)).__enter__()
        assert path.read_bytes() == before
        assert truth.exists()


def test_a_demo_leaves_a_held_data_folder_alone(tmp_path):
    owner = Holder(pid=4242, started_utc="", configuration="x", runtime="r")
    with Hold(tmp_path, owner), pytest.raises(RunConflictError, match="process 4242"):
        written(DemoOptions(out=tmp_path)).__enter__()
    assert not (tmp_path / "configuration" / "simulated.yaml").exists()


def test_a_grid_is_rows_by_columns():
    assert parse_fields("3x12") == (3, 12)


@pytest.mark.parametrize("text", ["", "3", "x", "2x", "-1x2", "axb", "2x2x2"])
def test_what_is_no_grid_is_refused_with_an_example(text):
    with pytest.raises(PlanRejectedError, match="such as 2x2"):
        parse_fields(text)
