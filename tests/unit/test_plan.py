"""Protocols: loaded, tiled, limited, estimated; refused with cause and cure."""

import itertools

import pytest
import yaml
from fake_microscope import make_config
from pydantic import ValidationError

from her2sr_acq.config_wheel import FilterWheelConfig
from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.plan import limits, load
from her2sr_acq.plan.estimate import estimate, wall_exposure_ms
from her2sr_acq.plan.frame import frame_shape
from her2sr_acq.plan.models import Grid, Protocol
from her2sr_acq.plan.tiling import frame_um, tiles

ROOM = 10**15


def make(**changes) -> Protocol:
    data = load.packaged("demo").model_dump(mode="json")
    return Protocol.model_validate(data | changes)


# --- packaged protocols


def test_the_published_protocol_is_that_of_the_paper():
    plan = load.packaged("her2_fish_peg2024")
    assert (plan.grid.rows, plan.grid.columns) == (10, 10)
    assert [
        (c.name, c.probe, c.power_percent, c.exposure_ms, c.frames, c.role)
        for c in plan.channels
    ] == [
        ("561", "HER2", 40.0, 30.0, 5000, "signal"),
        ("488", "CEP17", 40.0, 30.0, 5000, "signal"),
        ("405", "DAPI", 20.0, 30.0, 1000, "nuclei"),
    ]


def test_every_packaged_protocol_bears_the_name_of_its_file():
    assert [load.packaged(name).name for name in load.known()] == load.known()


def test_an_unknown_protocol_lists_the_known_ones():
    with pytest.raises(PlanRejectedError, match="demo, her2_fish_peg2024"):
        load.packaged("nosuch")
    with pytest.raises(PlanRejectedError, match=r"path of a \.yaml file, or one of"):
        load.find("nosuch")


def test_a_name_cannot_leave_the_folder_of_presets():
    with pytest.raises(PlanRejectedError, match="no protocol"):
        load.packaged("../presets/demo")


def test_a_protocol_is_found_by_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(make(name="mine").model_dump(mode="json")))
    assert load.find(str(path)).name == "mine"


BROKEN_FILES = [
    pytest.param("name: [", "cannot be read as YAML", id="no yaml"),
    pytest.param("- 1", "keys and values", id="a list"),
    pytest.param("name: a\ngrid: {rows: 0, columns: 1}", "'grid.rows'", id="rows"),
    pytest.param("name: a/b", "'name'", id="name with a slash"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN_FILES)
def test_a_broken_file_is_refused_with_its_key(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(PlanRejectedError, match=message):
        load.find(str(path))


LATER = [
    pytest.param(
        {"focus": {"method": "none", "every": 5}},
        "'every' does nothing with 'method: none'",
        id="focus every",
    ),
    pytest.param(
        {"focus": {"method": "hardware", "power_percent": 2}},
        "'power_percent' does nothing with 'method: hardware'",
        id="focus power",
    ),
    pytest.param(
        {"focus": {"method": "image", "frames": 11}}, "less than or equal", id="frames"
    ),
    pytest.param(
        {"stop_when": {"group": 1, "nuclei": 40}},
        "may not stop on 'group'",
        id="stop on the group",
    ),
    pytest.param(
        {"stop_when": {"group_probabilities": 0.9}},
        "answers wrongly near a boundary",
        id="stop on its probability",
    ),
    pytest.param({"stop_when": {"looks": [20]}}, "give 'nuclei' or", id="no rule"),
    pytest.param({"stop_when": {"width": 0.5}}, "give 'looks'", id="no looks"),
    pytest.param(
        {"stop_when": {"nuclei": 40, "looks": [20, 20]}}, "that grow", id="same look"
    ),
    pytest.param(
        {"stop_when": {"nuclei": 40, "looks": [20, 30]}},
        "the run would never stop; add 40",
        id="no look late enough",
    ),
    pytest.param({"through_focus": {"planes": 6}}, "'planes' is odd", id="even planes"),
    pytest.param(
        {"select": {"choose": "all", "seed": 3}},
        "'seed' does nothing with 'choose: all'",
        id="select seed",
    ),
    pytest.param(
        {"select": {"overview": False, "frames": 2}},
        "'frames' does nothing without an overview",
        id="select without overview",
    ),
    pytest.param(
        {"select": {"choose": "regions"}}, "needs 'regions'", id="select regions"
    ),
    *(
        pytest.param(
            {"keep_raw": kept}, "use all, localizations, {every_nth", id="kept"
        )
        for kept in ("some", {}, {"every": 3}, ["all"], None)
    ),
    pytest.param(
        {"keep_raw": {"every_nth": 1}}, "greater than or equal to 2", id="every frame"
    ),
    pytest.param(
        {"processing": {"profile": "homemade"}},
        "'paper' or 'recommended'",
        id="profile",
    ),
    pytest.param({"surprise": 1}, "Extra inputs", id="unknown key"),
]


@pytest.mark.parametrize(("changes", "message"), LATER)
def test_what_this_version_cannot_do_is_refused_and_not_ignored(changes, message):
    with pytest.raises(ValidationError, match=message):
        make(**changes)


def test_two_channels_of_one_name_are_refused():
    channel = load.packaged("demo").channels[0].model_dump()
    with pytest.raises(ValidationError, match="only once"):
        make(channels=[channel, channel])


# --- overrides


def test_single_values_are_overridden_by_dotted_keys():
    plan = load.override(
        load.packaged("demo"), {"channels.488.frames": 7, "grid.centre": [1, 2]}
    )
    assert [channel.frames for channel in plan.channels] == [400, 7, 100]
    assert plan.grid.centre == (1.0, 2.0)


OVERRIDES = [
    pytest.param("grid.rows", "many", "'grid.rows'", id="wrong type"),
    pytest.param("grid.row", 1, "there is rows, columns", id="unknown key"),
    pytest.param("channels.999.frames", 1, "there is 561, 488, 405", id="channel"),
    pytest.param("channels.561", 1, "whole channel", id="no key of the channel"),
    pytest.param("grid.rows.deep", 1, "nothing below it", id="below a value"),
]


@pytest.mark.parametrize(("key", "value", "message"), OVERRIDES)
def test_a_wrong_override_names_what_there_is(key, value, message):
    with pytest.raises(PlanRejectedError, match=message):
        load.override(load.packaged("demo"), {key: value})


def test_overrides_are_read_as_yaml():
    assert load.parse_override("grid.centre=[1.5, 2]") == ("grid.centre", [1.5, 2])
    with pytest.raises(PlanRejectedError, match="key=value"):
        load.parse_override("grid.rows")


# --- tiling

GRIDS = [
    pytest.param((1, 1, 0), [("r00_c00", 100.0, 50.0)], id="one tile at the centre"),
    pytest.param(
        (2, 2, 0),
        [
            ("r00_c00", 95.0, 48.0),
            ("r00_c01", 105.0, 48.0),
            ("r01_c01", 105.0, 52.0),
            ("r01_c00", 95.0, 52.0),
        ],
        id="snake: top left first, the second row backwards",
    ),
    pytest.param(
        (1, 3, 10),
        [("r00_c00", 91.0, 50.0), ("r00_c01", 100.0, 50.0), ("r00_c02", 109.0, 50.0)],
        id="neighbours share a tenth",
    ),
]


@pytest.mark.parametrize(("grid", "want"), GRIDS)
def test_tiles_stand_around_the_centre_in_order(grid, want):
    rows, columns, overlap = grid
    got = tiles(
        Grid(rows=rows, columns=columns, overlap_percent=overlap),
        centre_um=(100.0, 50.0),
        size_um=(4.0, 10.0),
    )
    assert [(t.name, t.x_um, t.y_um) for t in got] == want


def test_a_snake_never_jumps():
    got = tiles(Grid(rows=5, columns=4), centre_um=(0, 0), size_um=(1.0, 1.0))
    steps = [
        abs(a.x_um - b.x_um) + abs(a.y_um - b.y_um) for a, b in itertools.pairwise(got)
    ]
    assert len(got) == 20
    assert steps == [1.0] * 19


# --- limits

REFUSED = [
    pytest.param("channels.561.laser_nm", 640, "choose one of 405, 488, 561", id="nm"),
    pytest.param("channels.561.power_percent", 61, "limit is 60 %", id="power"),
    pytest.param("channels.561.power_percent", 61, r"\(61 mW\).*60 mW", id="mW"),
    pytest.param("camera.roi", [1, 0, 16, 16], "frame has 16 x 16", id="region"),
    pytest.param("camera.readout", "fast", "'fast', and fake has: none", id="read-out"),
    pytest.param("channels.488.exposure_ms", 20000, "takes 0.01 to 10000", id="long"),
    pytest.param("channels.405.frames", 200000, "limit is 3600 s", id="burst"),
    pytest.param("grid.centre", [499.5, 0], "r00_c01 would be at x", id="stage x"),
    pytest.param("grid.centre", [0, -499.5], "r00_c00 would be at y", id="stage y"),
]


WHEEL = {"label": "Wheel", "lines": {561: "red", 405: "blue"}, "also": ["open"]}


def with_wheel(**changes):
    wheel = FilterWheelConfig.model_validate(WHEEL | changes)
    return make_config().model_copy(update={"filter_wheel": wheel})


def taken(config, **changes) -> None:
    grid = {"positions": [[0.0, 0.0]]}
    limits.check(make(grid=grid, **changes), (), config, free_bytes=ROOM)


def test_a_channel_without_a_position_of_the_wheel_is_refused():
    with pytest.raises(PlanRejectedError, match="channel 488 has no position"):
        taken(with_wheel())


LOOKS = [
    pytest.param({"focus": {"method": "image", "laser_nm": 488}}, "focus", id="focus"),
    pytest.param({"select": {"laser_nm": 488}}, "overview", id="overview"),
]


@pytest.mark.parametrize(("changes", "name"), LOOKS)
def test_pictures_of_focus_and_overview_need_a_filter_too(changes, name):
    red = [c for c in make().model_dump(mode="json")["channels"] if c["name"] == "561"]
    taken(with_wheel(), channels=red)
    with pytest.raises(PlanRejectedError, match=f"channel {name} has no position"):
        taken(with_wheel(), channels=red, **changes)


def test_a_channel_may_name_a_filter_of_its_own_that_there_is():
    channels = make().model_dump(mode="json")["channels"]
    channels[1]["emission_filter"] = "open"
    taken(with_wheel(), channels=channels)
    channels[1]["emission_filter"] = "green"
    with pytest.raises(PlanRejectedError, match="'green', and Wheel has red, blue, op"):
        taken(with_wheel(), channels=channels)


def test_a_filter_is_refused_where_there_is_no_wheel():
    channels = make().model_dump(mode="json")["channels"]
    channels[0]["emission_filter"] = "red"
    with pytest.raises(PlanRejectedError, match="fake has no filter wheel"):
        taken(make_config(), channels=channels)


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_a_plan_beyond_a_limit_is_refused_with_cause_and_cure(key, value, message):
    plan = load.override(load.packaged("demo"), {"grid.centre": [0, 0], key: value})
    grid = tiles(plan.grid, centre_um=plan.grid.centre, size_um=(2.08, 2.08))
    with pytest.raises(PlanRejectedError, match=message):
        limits.check(plan, grid, make_config(), free_bytes=ROOM)


def test_the_disk_must_hold_every_frame_and_a_tenth_more():
    plan, config = load.packaged("demo"), make_config()
    needed = 4 * 900 * 16 * 16 * 2 * 1.1
    limits.check(plan, (), config, free_bytes=round(needed))
    with pytest.raises(PlanRejectedError, match="delete or offload"):
        limits.check(plan, (), config, free_bytes=round(needed) - 1)
    with pytest.raises(PlanRejectedError, match=r"needs 2\.0 MB and 1\.5 MB are free"):
        limits.check(plan, (), config, free_bytes=1_500_000)


def test_a_region_takes_the_room_of_its_pixels_alone():
    region = {"camera.roi": [32, 16, 16, 32]}
    plan = load.override(load.packaged("demo"), region)
    config = make_config(width=64, height=64)
    assert frame_shape(plan, config) == (32, 16)
    needed = round(4 * 900 * 16 * 32 * 2 * 1.1)
    limits.check(plan, (), config, free_bytes=needed)
    with pytest.raises(PlanRejectedError, match="delete or offload"):
        limits.check(plan, (), config, free_bytes=needed - 1)


def test_power_at_the_limit_is_allowed_and_none_above_it():
    at = load.override(load.packaged("demo"), {"channels.561.power_percent": 60})
    limits.check(at, (), make_config(), free_bytes=ROOM)
    above = load.override(load.packaged("demo"), {"channels.561.power_percent": 60.001})
    with pytest.raises(PlanRejectedError, match="limit is 60 %"):
        limits.check(above, (), make_config(), free_bytes=ROOM)


# --- estimate


def simulated(time_scale):
    data = make_config().model_dump()
    data["simulator"] = {"module": "x", "options": {"time_scale": time_scale}}
    return type(make_config()).model_validate(data)


def test_an_estimate_counts_exposure_and_uncompressed_frames():
    cost = estimate(load.packaged("her2_fish_peg2024"), make_config())
    assert (cost.fields, cost.units, cost.frames) == (100, 300, 1_100_000)
    assert cost.bytes == 1_100_000 * 512
    assert cost.duration_s == pytest.approx(33_000 + 600)


def test_accelerated_time_shortens_the_wall_clock():
    assert wall_exposure_ms(30.0, simulated(10.0)) == 3.0
    assert wall_exposure_ms(30.0, make_config()) == 30.0


def test_a_frames_size_follows_from_its_pixels():
    assert frame_um(height=512, width=256, pixel_nm=130.0) == (66.56, 33.28)
