"""The morning page tells what is missing and why, and keeps counts from who is blind;
the run's page never tells a ratio or a group."""

from types import SimpleNamespace

import pytest
from run_folders import make_run

from her2sr_acq.engine.states import RunState
from her2sr_acq.service import reviewing
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.selection import Overview, Selection, TileScore
from her2sr_proc.store.manifest import read_manifest, write_manifest


@pytest.fixture
def over(client, control, done, request_body):
    """The finished run of the disk, known to the hardware process as well."""
    client.post("/api/v1/runs", json=request_body)
    view = control.held.pop("run-0")
    values = {"id": done, "folder": done, "state": RunState.COMPLETED_WITH_FAULTS}
    control.held[done] = view.model_copy(update=values)
    return done


def test_the_morning_shows_the_answer_with_both_intervals_and_links(client, over):
    page = client.get(f"/runs/{over}/morning").text
    for part in ("3.14", "2.50 – 3.60", "sampling", "95 % interval, total", "/report"):
        assert part in page


def test_what_is_partial_stands_with_its_reason_and_a_deliberate_button(client, over):
    page = client.get(f"/runs/{over}/morning").text
    assert "camera stalled" in page
    assert f'data-post="/api/v1/runs/{over}/fields/r00_c00/attempts"' in page
    assert "partly bleached" in page
    assert '<input type="hidden" name="channels[]" value="561">' in page


@pytest.fixture
def half_chosen(control, data, over, monkeypatch):
    """The finished run, of whose two fields a person chose the second."""
    folder = make_run(data.run(over).root, frames={"561": 100}, size=8)
    tiles = tuple(
        TileScore(field=name, seen=True, holds_tissue=True)
        for name in ("r00_c00", "r00_c01")
    )
    utc = "2026-01-02T03:04:05Z"
    selection = Selection(
        choose="person",
        by="op-2",
        rule="chosen by op-2",
        utc=utc,
        areas=1,
        chosen=("r00_c01",),
        skipped={"r00_c00": "not chosen by op-2"},
        overview=Overview(run=over, utc=utc, scored_by="nuclear area", tiles=tiles),
    )
    manifest = read_manifest(folder)
    write_manifest(folder, manifest.model_copy(update={"selection": selection}))
    (field,) = control.fields(over)
    (unit,) = field.units
    change = {"state": UnitState.SKIPPED, "reason": "not chosen by op-2", "written": 0}
    units = (unit.model_copy(update=change),)
    left = field.model_copy(update={"units": units})
    done = {"field": "r00_c01", "state": UnitState.COMPLETE, "reason": ""}
    units = (unit.model_copy(update=done),)
    taken = field.model_copy(update={"name": "r00_c01", "units": units})
    monkeypatch.setattr(control, "fields", lambda _: [left, taken])
    return over


def test_a_field_left_out_by_a_choice_is_missed_by_nobody(client, half_chosen):
    page = client.get(f"/runs/{half_chosen}/morning").text
    assert "missed by nobody: 1" in page
    assert "All 1 bursts are complete" in page
    alarms = client.get(f"/parts/runs/{half_chosen}").text
    alarms = alarms[alarms.index('id="alarms"') : alarms.index('id="focus"')]
    assert "not chosen" not in alarms


def test_a_run_that_goes_on_cannot_be_taken_again(client, control, over):
    values = {"state": RunState.RUNNING}
    control.held[over] = control.held[over].model_copy(update=values)
    assert "/attempts" not in client.get(f"/runs/{over}/morning").text


@pytest.mark.parametrize("path", ["/runs/{run}", "/parts/runs/{run}"])
def test_the_run_page_tells_no_ratio_and_no_group(client, over, path):
    page = client.get(path.replace("{run}", over)).text
    for word in ("3.14", "3.00", "2.50", "ratio", "Group", "her2_per", "HER2/CEP17"):
        assert word not in page


class FakeCase(SimpleNamespace):
    """A record of which somebody's reading is open, or counts are kept."""

    def may_see(self, _: str) -> bool:
        return self.shows


READING = SimpleNamespace(name="one", by="vera", is_signed=False)


@pytest.mark.parametrize(
    ("readings", "shows", "words"),
    [
        ({"one": READING}, True, "blind reading is signed"),
        ({}, False, "second observer has recounted"),
    ],
    ids=["open reading", "recount due"],
)
@pytest.mark.parametrize("path", ["/runs/{run}/morning", "/compare?run={run}&run=no"])
def test_who_reads_blind_is_sent_no_count(
    client, data, done, monkeypatch, readings, shows, words, path
):
    case = data.run(done).case
    case.parent.mkdir(parents=True)
    case.touch()
    found = SimpleNamespace(case=lambda: FakeCase(readings=readings, shows=shows))
    monkeypatch.setattr(reviewing, "desk", lambda *_: found)
    page = client.get(path.replace("{run}", done)).text
    assert words in page
    for secret in ("3.14", "3.00", "/report", "/counts", "/results", "definite"):
        assert secret not in page


def test_a_record_that_cannot_be_read_keeps_the_counts(client, data, done):
    case = data.run(done).case
    case.parent.mkdir(parents=True)
    case.write_text("no json\n")
    page = client.get(f"/runs/{done}/morning").text
    assert "cannot be read" in page
    assert "3.14" not in page


def test_the_last_night_leads_to_the_newest_run_that_is_over(client, over):
    answer = client.get("/morning", follow_redirects=False)
    assert answer.headers["location"] == f"/runs/{over}/morning"


def test_the_pages_speak_japanese(client, over):
    headers = {"accept-language": "ja"}
    assert "再撮影" in client.get(f"/runs/{over}/morning", headers=headers).text
    assert "警報" in client.get(f"/runs/{over}", headers=headers).text
