"""Device configurations: found by name, refused with key and cure."""

import pytest
import yaml

from her2sr_acq.config import load, resolve
from her2sr_acq.errors import ConfigError

GOOD = {
    "name": "bench",
    "mmcore": {"cfg": "bench.cfg"},
    "camera": {"label": "Camera", "width": 64, "height": 64},
    "stage": {"label": "XY"},
    "focus": {"label": "Z"},
    "lasers": [
        {
            "nm": 561,
            "label": "L561",
            "enable_property": "State",
            "power_property": "Power",
            "power_full_scale": 200.0,
            "rated_mw": 200.0,
            "limit_mw": 100.0,
        }
    ],
}


def write(tmp_path, data) -> object:
    path = tmp_path / "bench.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_limits_in_milliwatts_become_percent(tmp_path):
    config = load(write(tmp_path, GOOD))
    assert config.laser(561).limit_percent == 50.0


BROKEN = [
    pytest.param(lambda d: d.pop("camera"), "'camera': Field required", id="no camera"),
    pytest.param(lambda d: d.update(lasers=[]), "'lasers'", id="no laser"),
    pytest.param(lambda d: d.update(colour=1), "'colour'", id="unknown key"),
    pytest.param(
        lambda d: d["camera"].update(width=-1), "'camera.width'", id="impossible size"
    ),
    pytest.param(
        lambda d: d.update(lasers=d["lasers"] * 2), "only once", id="line twice"
    ),
    pytest.param(
        lambda d: d.update(filter_wheel={"label": "W", "lines": {640: "red"}}),
        "no laser of 640 nm",
        id="filter of no line",
    ),
    pytest.param(
        lambda d: d.update(filter_wheel=[{"label": "W", "lines": {561: "red"}}] * 2),
        "one filter wheel is driven; name that one alone",
        id="two wheels",
    ),
    pytest.param(
        lambda d: d.update(filter_wheel={"label": "W", "lines": {}}),
        "'filter_wheel.lines'",
        id="wheel without a filter",
    ),
    pytest.param(
        lambda d: d.update(filter_wheel={"label": "W", "lines": {561: ""}}),
        "'filter_wheel.lines.561'",
        id="filter without a name",
    ),
]


@pytest.mark.parametrize(("harm", "message"), BROKEN)
def test_a_wrong_key_is_named(tmp_path, harm, message):
    data = yaml.safe_load(yaml.safe_dump(GOOD))
    harm(data)
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, data))


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ConfigError, match="give a path, or one of"):
        resolve("nosuch")


def test_a_program_is_no_configuration(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_bytes(b"\x7fELF\xd0\x00")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load(path)


def test_a_list_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="keys and values"):
        load(write(tmp_path, [1, 2]))


@pytest.mark.parametrize("word", [True, False])
def test_true_and_false_are_no_numbers(tmp_path, word):
    camera = {**GOOD["camera"], "width": word}
    with pytest.raises(ConfigError, match=f"not {str(word).lower()}"):
        load(write(tmp_path, {**GOOD, "camera": camera}))
