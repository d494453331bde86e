"""Dashboard and alarms ask for measures that there are, and call people with a cure."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from her2sr_acq.engine.views import FieldView, Health, RunView, UnitView
from her2sr_acq.guard.messages import Status
from her2sr_acq.notifying.post import Tally
from her2sr_acq.service.archive import Archive
from her2sr_acq.service.measures import Measures
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.store.layout import DataFolder

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "her2sr.json"
RULES = ROOT / "deploy" / "prometheus" / "her2sr.rules.yml"
NAME = re.compile(r"\bhm_[a-z_]+\b")
LABEL = re.compile(r'(hm_[a-z_]+)\{([a-z_]+)(?:=|=~)"([^"]+)"')


class Acq:
    """A hardware process in the middle of a run."""

    def health(self) -> Health:
        return Health(
            version="1",
            pid=1,
            configuration="m",
            simulated=True,
            started_utc="",
            active_run="r",
            free_bytes=1,
        )

    def run(self, run_id: str) -> RunView:
        return RunView(
            id=run_id,
            state="running",
            phase="",
            protocol="p",
            sample="s",
            operator="o",
            created_utc="",
            started_utc="2026-01-02T03:04:05Z",
            frames_requested=1,
            units_total=1,
            folder="r",
        )

    def fields(self, _: str) -> list[FieldView]:
        unit = UnitView(
            field="r00_c00",
            channel="561",
            attempt=1,
            state=UnitState.COMPLETE,
            requested=1,
        )
        place = {"row": 0, "column": 0, "x_um": 0.0, "y_um": 0.0}
        return [FieldView(name="r00_c00", units=(unit,), **place)]


class Guard:
    """A guard with one line lit."""

    def status(self) -> Status:
        return Status(acq_pid=1, is_connected=True, lit_nm=(561,), deaths=0)


@pytest.fixture(scope="module")
def measures(tmp_path_factory) -> str:
    """What /metrics says in a run, in Prometheus' own text form."""
    archive = Archive(DataFolder(tmp_path_factory.mktemp("data")))
    registry = CollectorRegistry()
    registry.register(Measures(Acq(), Guard(), archive, [Tally("mail")]))
    return generate_latest(registry).decode()


def known(measures: str) -> set[str]:
    return set(re.findall(r"^(hm_[a-z_]+)", measures, re.MULTILINE))


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return shown + [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_measure_that_is_asked_for_is_told(measures):
    asked = {name for text in expressions() for name in NAME.findall(text)}
    assert len(asked) > 12
    assert asked <= known(measures)


def test_every_value_of_a_label_that_is_asked_for_is_told(measures):
    asked = [found for text in expressions() for found in LABEL.findall(text)]
    assert asked
    for name, label, values in asked:
        for value in values.split("|"):
            assert re.search(rf'^{name}\{{[^}}]*{label}="{value}"', measures, re.M), (
                name,
                value,
            )


def test_no_measure_is_missing_from_the_dashboard(measures):
    shown = set(NAME.findall(DASHBOARD.read_text()))
    untold = {"hm_build_info", "hm_run_started_timestamp_seconds"}
    assert {n for n in known(measures) - untold if not n.endswith("_created")} <= shown


def test_panels_neither_overlap_nor_leave_the_grid():
    taken: dict[tuple[int, int], str] = {}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_every_alarm_says_what_to_do_and_how_urgent_it_is():
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names)
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert {"summary", "action"} <= set(rule["annotations"])


def test_prometheus_and_grafana_find_their_files():
    prometheus = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    assert prometheus["rule_files"] == [RULES.name]
    monitoring = yaml.safe_load((ROOT / "docker" / "monitoring.yaml").read_text())
    for service in monitoring["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / "docker" / source).is_dir(), volume
    folder = DASHBOARD.parents[1] / "provisioning" / "dashboards" / "her2sr.yaml"
    provider = yaml.safe_load(folder.read_text())["providers"][0]
    mounts = [v.split(":") for v in monitoring["services"]["grafana"]["volumes"]]
    targets = {mount[1] for mount in mounts}
    assert provider["options"]["path"] in targets


def test_compose_understands_both_files_together():
    tool = shutil.which("docker-compose", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("docker-compose is not installed on this kind of machine")
    files = ["-f", "compose.yaml", "-f", "monitoring.yaml"]
    done = subprocess.run(
        [tool, *files, "config", "--services"],
        cwd=ROOT / "docker",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {"prometheus", "grafana", "api"} <= set(done.stdout.split())


def test_rules_are_well_formed_by_prometheus_own_judgement():
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed on this machine")
    done = subprocess.run([tool, "check", "rules", RULES], check=False)
    assert done.returncode == 0
