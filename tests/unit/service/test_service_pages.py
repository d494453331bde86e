"""The pages show what there is, escape what they show, and always say the banner."""

import numpy as np
import pytest

from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.table import COLUMNS, Localizations
from her2sr_proc.store.atomic import write_bytes
from her2sr_proc.store.tables import write_parquet

PAGES = ["/", "/runs", "/devices", "/settings", "/compare"]


@pytest.fixture
def running(client, request_body) -> str:
    return client.post("/api/v1/runs", json=request_body).json()["id"]


def test_the_first_page_lists_runs_and_offers_protocols(client, running):
    page = client.get("/").text
    assert f'href="/runs/{running}"' in page
    assert '<option value="small" selected>small · 1 min 15 s</option>' in page


def test_a_run_page_tells_progress_and_tiles(client, running):
    page = client.get(f"/runs/{running}").text
    assert "50 of 200 frames (25 %)" in page
    assert "about 30 s left" in page
    assert 'class="unit partial"' in page
    assert "camera stalled" in page


def test_a_stopped_run_cannot_be_stopped_on_its_page(client, control, running):
    stop = f'data-post="/api/v1/runs/{running}/stop"'
    assert stop in client.get(f"/runs/{running}").text
    view = control.held[running]
    control.held[running] = view.model_copy(update={"state": "aborted"})
    assert stop not in client.get(f"/runs/{running}").text


def test_a_finished_run_leads_to_its_morning_and_shows_pictures(client, done):
    page = client.get(f"/runs/{done}").text
    assert f'href="/runs/{done}/morning"' in page
    assert f"/api/v1/runs/{done}/images/r00_c00/561/conventional.png" in page
    assert "data-settled" in page


def a_table(data, done, channel, said, attempt=1):
    """Write a table of no rows whose file says something."""
    unit = UnitKey(run=done, field="r00_c00", channel=channel, attempt=attempt)
    empty = Localizations({c.name: np.empty(0, c.dtype) for c in COLUMNS})
    write_parquet(data.run(done).table(unit), empty, said)


def test_a_field_says_how_many_frames_showed_ensemble_light(client, data, done):
    told = {"localized_frames": "5000", "ensemble_light_frames": "812"}
    a_table(data, done, "561", told)
    a_table(data, done, "561", told | {"ensemble_light_frames": "0"}, attempt=2)
    a_table(data, done, "488", {"localized_frames": "5000"})  # of an older program
    page = client.get(f"/runs/{done}").text
    light = page.partition('id="ensemble-light"')[2].partition("</section>")[0]
    assert "561: 812 of 5000 frames show ensemble light." in light
    assert "561.a2: none of 5000 frames shows ensemble light." in light
    assert "488" not in light
    assert "the middle of that blob, not one dye" in light
    client.cookies.set("her2sr_language", "ja")
    assert "5000 枚中 812 枚が密集発光です" in client.get(f"/parts/runs/{done}").text


@pytest.mark.parametrize("content", [b"", b"PAR1 torn", b"<script>"])
def test_a_torn_table_takes_no_page_down(client, data, done, content):
    key = UnitKey(run=done, field="r00_c00", channel="561", attempt=1)
    write_bytes(data.run(done).table(key), content)
    page = client.get(f"/runs/{done}")
    assert page.status_code == 200
    assert "ensemble-light" not in page.text


def test_pages_say_so_when_the_hardware_process_is_dead(client, control, done):
    control.is_dead = True
    assert "does not answer" in client.get("/").text
    first = client.get("/runs")
    assert "does not answer" in first.text
    assert f'href="/runs/{done}"' in first.text
    run = client.get(f"/runs/{done}")
    assert "does not answer" in run.text
    assert "3.14" in client.get(f"/runs/{done}/morning").text


@pytest.mark.parametrize("path", [*PAGES, "/runs/{done}", "/runs/nosuch"])
def test_the_banner_stands_on_every_page(client, done, path):
    assert BANNER in client.get(path.replace("{done}", done)).text


def test_a_page_for_no_run_is_not_found(client):
    assert client.get("/runs/nosuch").status_code == 404
    assert client.get("/parts/runs/nosuch").status_code == 404


def test_what_a_run_says_of_itself_is_escaped(client, control, running):
    view = control.held[running]
    words = {"reason": "<script>alert(1)</script>"}
    control.held[running] = view.model_copy(update=words)
    page = client.get(f"/runs/{running}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_commands_within_a_sentence_are_marked_up_and_still_escaped(
    client, control, running
):
    view = control.held[running]
    words = {"reason": "go on with `her2sr process <run>`", "state": "aborted"}
    control.held[running] = view.model_copy(update=words)
    page = client.get(f"/runs/{running}").text
    assert "go on with <code>her2sr process &lt;run&gt;</code>" in page


def test_a_run_that_is_over_tells_once_that_bursts_are_incomplete(
    client, control, running
):
    view = control.held[running]
    control.held[running] = view.model_copy(update={"state": "aborted"})
    page = client.get(f"/parts/runs/{running}").text
    alarms = page[page.index('id="alarms"') : page.index('id="focus"')]
    assert "1 bursts are incomplete" in alarms
    assert "the run goes on" not in alarms


@pytest.mark.parametrize(
    ("spoken", "words"),
    [("en", ("Exposure (ms)", "Adapter's own")), ("ja", ("露光 (ms)", "カメラ"))],
)
def test_what_devices_say_has_its_words_and_else_its_own_name(
    client, control, monkeypatch, spoken, words
):
    seen = control.devices()
    (camera,) = seen.devices
    values = {**camera.values, "Adapter's own": "7"}
    named = camera.model_copy(update={"values": values})
    told = seen.model_copy(update={"devices": (named,)})
    monkeypatch.setattr(control, "devices", lambda: told)
    page = client.get("/parts/devices", headers={"accept-language": spoken}).text
    assert all(word in page.replace("&#39;", "'") for word in words)
    assert 'title="Exposure"' in page


@pytest.mark.parametrize(
    "name", ["style.css", "page.js", "start.js", "devices.js", "settings.js"]
)
def test_pages_load_nothing_from_elsewhere(client, name):
    text = client.get(f"/static/{name}").text + client.get("/").text
    assert "http:" not in text.replace("http://127.0.0.1", "")
    assert "https:" not in text


def test_an_incomplete_burst_of_a_held_run_does_not_say_that_the_run_goes_on(
    client, running
):
    goes_on = "the run goes on"
    assert goes_on in client.get(f"/runs/{running}").text
    assert client.post(f"/api/v1/runs/{running}/pause").is_success
    held = client.get(f"/runs/{running}").text
    assert "camera stalled" in held
    assert "The run is held" in held
    assert goes_on not in held
