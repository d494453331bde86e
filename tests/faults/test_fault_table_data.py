"""Rows 18, 19 and 25 of the fault table: stores, configurations, logs.

Row 18's damaged database stands in `test_daemon_process`.
"""

import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_microscope import CONFIG
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from light_times import seconds_lit_after
from night_audit import audit
from nights import night, night_config, night_request, until
from run_folders import add_unit, make_run
from short import short_folder
from small_disks import fill, small_disk

from her2sr_acq.config import DeviceConfig, load
from her2sr_acq.errors import ConfigError, PlanRejectedError
from her2sr_acq.plan import load as plans
from her2sr_proc.offline.verify import verify
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.layout import DataFolder, RunFolder
from her2sr_proc.store.ledger import read_ledger

HER2SR = Path(sys.executable).with_name("her2sr")
NO_API = ("microscope", "guard", "localizer")

# --- row 18: bytes on disk that have changed


@pytest.fixture
def run(tmp_path):
    """A run of two channels, three blocks of ten frames each."""
    folder = make_run(tmp_path / "r1", frames={"561": 30, "488": 30}, size=16)
    rng = np.random.default_rng(1)
    for channel in ("561", "488"):
        add_unit(folder, channel, rng.integers(90, 400, (30, 16, 16)).astype(np.uint16))
    return folder


def unit(channel: str) -> UnitKey:
    return UnitKey(run="r1", field="r00_c00", channel=channel)


def flip_a_bit(folder: Path) -> None:
    chunk = raw.chunk_path(folder, 1)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)


def truncate(folder: Path) -> None:
    chunk = raw.chunk_path(folder, 1)
    chunk.write_bytes(chunk.read_bytes()[:-7])


def forget_what_it_is(folder: Path) -> None:
    for path in folder.rglob("zarr.json"):
        path.unlink()


@pytest.mark.parametrize("harm", [flip_a_bit, truncate, forget_what_it_is])
def test_row_18_a_harmed_unit_is_named_and_every_other_is_whole(run, harm):
    harm(run.raw(unit("561")))
    damage = verify(run, lambda *_: None).damage
    assert damage
    assert all("r00_c00/561" in sentence for sentence in damage)
    assert readable(run, "488") == 30


def readable(run: RunFolder, channel: str) -> int:
    blocks = read_ledger(run.ledger)[unit(channel)].blocks.values()
    return sum(len(raw.read_block(run.raw(unit(channel)), block)) for block in blocks)


# --- row 19: a configuration or a protocol that cannot be


def paths(model: object, at: tuple = ()) -> list[tuple]:
    """Return the paths of all values in nested mappings and lists."""
    if isinstance(model, dict):
        return [p for key, value in model.items() for p in paths(value, (*at, key))]
    if isinstance(model, list) and model and isinstance(model[0], dict):
        return paths(model[0], (*at, 0))
    return [at]


WHOLE = DeviceConfig.model_validate(CONFIG).model_dump(mode="json")
NUMBERS = [
    path
    for path in paths(WHOLE)
    if path[-1] in ("width", "nm", "timeout_s", "rated_mw", "limit_mw", "buffer_mb")
]
NONSENSE = st.sampled_from([-1, -1e300, "many", [], {}, float("nan")])


def changed(data: object, path: tuple, value: object) -> dict:
    """Return a copy in which one value is another."""
    whole = copy.deepcopy(data)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return whole


def refuse(tmp_path: Path, data: object) -> str:
    """Return the sentence by which a configuration is refused."""
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@QUICK
@given(path=st.sampled_from(NUMBERS), value=NONSENSE)
def test_row_19_a_value_that_cannot_be_is_refused_by_its_key(tmp_path, path, value):
    said = refuse(tmp_path, changed(WHOLE, path, value))
    assert ".".join(str(part) for part in path) in said
    assert "\n" not in said


@QUICK
@given(
    where=st.sampled_from([(), ("camera",), ("stage",), ("lasers", 0), ("guard",)]),
    key=st.from_regex(r"[a-z]{3,12}x", fullmatch=True),
)
def test_row_19_an_unknown_key_is_refused_by_its_name(tmp_path, where, key):
    said = refuse(tmp_path, changed(WHOLE, (*where, key), 1))
    assert key in said
    assert "\n" not in said


PLAN = plans.packaged("demo").model_dump(mode="json")
PLAN_KEYS = st.sampled_from(
    [
        ("channels", 0, "frames"),
        ("channels", 0, "exposure_ms"),
        ("channels", 0, "power_percent"),
        ("grid", "rows"),
        ("grid", "columns"),
    ]
)


@QUICK
@given(path=PLAN_KEYS, value=st.sampled_from([-1, 1e12, "many", [], {}]))
def test_row_19_a_protocol_that_cannot_be_is_refused_by_its_key(tmp_path, path, value):
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(changed(PLAN, path, value)))
    with pytest.raises(PlanRejectedError) as caught:
        plans.read(file)
    said = str(caught.value)
    assert str(path[-1]) in said
    assert "\n" not in said


def test_row_19_the_command_line_ends_with_2_before_anything_is_touched(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(changed(WHOLE, ("camera", "width"), -1)))
    command = [HER2SR, "serve", "--config", path, "--data", tmp_path / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "camera.width" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


# --- row 25: the disk of the logs is full


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_row_25_a_full_disk_of_logs_keeps_neither_a_run_nor_the_dark(tmp_path):
    with short_folder() as folder, small_disk(tmp_path / "logs", 1) as disk:
        data = DataFolder(folder / "data")
        data.root.mkdir()
        data.logs.symlink_to(disk)
        config = night_config(folder, time_scale=10.0, dark_silence_s=5.0)
        fill(disk / "ballast")
        with night(config, data.root, only=NO_API) as service:
            asked = night_request(rows=1, columns=1, frames=220)
            run = service.control.submit(asked)
            until(lambda: service.microscope.state().is_lit(), within_s=30.0)
            killed_s = time.monotonic()
            os.kill(service.acq_pid(), signal.SIGKILL)
            view = service.rest(run.id, within_s=60.0)
            dark_s = seconds_lit_after(service.microscope.light_history(), killed_s)
            found = audit(service.folder(view), view, service.control.fields(run.id))
    assert 0.0 < dark_s < 1.0
    assert view.state == "completed_with_faults"
    assert found.violations == ()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("gone", ["files", "folder"])
def test_row_25_logs_that_were_removed_keep_neither_a_run_nor_the_dark(gone):
    """Somebody frees a full disk by removing the logs; then acq and guard die."""
    with short_folder() as folder:
        data = DataFolder(folder / "data")
        config = night_config(folder, time_scale=10.0, dark_silence_s=5.0)
        with night(config, data.root, only=NO_API) as service:
            run = service.control.submit(night_request(rows=1, columns=1, frames=220))
            until(lambda: service.microscope.state().is_lit(), within_s=30.0)
            remove_logs(data.logs, gone)
            killed_s = time.monotonic()
            os.kill(service.acq_pid(), signal.SIGKILL)
            view = service.rest(run.id, within_s=60.0)
            dark_s = seconds_lit_after(service.microscope.light_history(), killed_s)
            guard = service.launcher.pids["guard"]
            os.kill(guard, signal.SIGKILL)
            until(lambda: service.launcher.pids["guard"] != guard, within_s=20.0)
            service.idle(within_s=30.0)
            service.launcher.check()
    assert 0.0 < dark_s < 1.0
    assert view.state == "completed_with_faults"


def remove_logs(logs, gone: str) -> None:
    if gone == "folder":
        shutil.rmtree(logs)
    else:
        for file in logs.iterdir():
            file.unlink()
