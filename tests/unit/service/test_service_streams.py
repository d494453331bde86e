"""Events that can be taken up again, tags, pages, the live picture, measures."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from her2sr_acq.errors import RunNotFoundError, TooManyError
from her2sr_acq.service.brief import Brief
from her2sr_acq.service.feed import Feed
from her2sr_acq.service.live import Contrast, LivePicture
from her2sr_proc.schema.block import BlockKey
from her2sr_proc.schema.ledger import BlockRecord
from her2sr_proc.store import raw
from her2sr_proc.store.chain import EventChain
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.raw import RawShape


def told(text: str) -> list[tuple[str, str]]:
    """Return id and kind of every event of a stream."""
    events = [part.splitlines() for part in text.split("\n\n") if part]
    return [(e[0].removeprefix("id: "), e[1].removeprefix("event: ")) for e in events]


@pytest.fixture
def feed():
    """A feed that looks as often as it is asked."""
    now = iter(range(10**6))
    return Feed(lambda: float(next(now)), epoch="0a1b2c3d")


def test_a_listener_gets_all_that_changed_since_its_last_event(
    feed, control, client, request_body
):
    feed.look(control)
    first = feed.after("")
    assert [event.kind for event in first] == ["reset", "health"]
    client.post("/api/v1/runs", json=request_body)
    feed.look(control)
    control.pause("run-0")
    feed.look(control)
    missed = feed.after(first[-1].id)
    assert [json.loads(e.data)["state"] for e in missed] == ["running", "paused"]
    assert feed.after(missed[0].id) == missed[1:]
    assert feed.after(missed[-1].id) == []


@pytest.mark.parametrize("last", ["", "ffffffff-1", "0a1b2c3d-99", "x", "0a1b2c3d--1"])
def test_who_comes_with_a_number_of_another_time_begins_anew(feed, control, last):
    feed.look(control)
    assert [event.kind for event in feed.after(last)] == ["reset", "health"]


def test_the_oldest_events_go_and_their_readers_begin_anew(feed, control, client):
    feed.look(control)
    first = feed.after("")[-1].id
    for number in range(1001):
        control.latched = f"cause {number}"
        feed.look(control)
    assert feed.after(first)[0].kind == "reset"


def test_a_dead_hardware_process_is_an_event(feed, control):
    control.is_dead = True
    feed.look(control)
    assert [event.kind for event in feed.after("")] == ["reset", "trouble"]


def test_listeners_have_a_limit(feed):
    for _ in range(50):
        feed.join()
    with pytest.raises(TooManyError, match="50 listeners"):
        feed.join()
    feed.leave()
    feed.join()


def test_events_are_streamed_and_taken_up_over_http(client, request_body, control):
    first = client.get("/api/v1/events?stay_s=0")
    assert first.headers["content-type"].startswith("text/event-stream")
    last, _ = told(first.text)[-1]
    client.post("/api/v1/runs", json=request_body)
    client.app.state.context.feed._looked_at = -1.0
    again = client.get("/api/v1/events?stay_s=0", headers={"Last-Event-ID": last})
    assert [kind for _, kind in told(again.text)] == ["run"]


def test_the_chained_events_of_a_run_are_paged_and_streamed(client, data, done):
    with EventChain(data.run(done)) as chain:
        for number in range(5):
            chain.add("state", {"n": number}, utc="2026", monotonic_s=0.0)
    where = f"/api/v1/runs/{done}/events"
    page = client.get(f"{where}?after=1&limit=2").json()
    assert [event["sequence"] for event in page] == [2, 3]
    headers = {"accept": "text/event-stream", "last-event-id": "2"}
    stream = client.get(f"{where}?stay_s=0", headers=headers)
    assert told(stream.text) == [("3", "run"), ("4", "run")]


def test_runs_are_paged_by_the_link_of_each_page(client, request_body):
    for _ in range(5):
        view = client.post("/api/v1/runs", json=request_body).json()
        client.post(f"/api/v1/runs/{view['id']}/stop")
    seen, url = [], "/api/v1/runs?limit=2"
    while url:
        answer = client.get(url)
        seen += [view["id"] for view in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert seen == [f"run-{n}" for n in (4, 3, 2, 1, 0)]


def test_an_answer_that_did_not_change_is_not_sent_again(client, done, request_body):
    image = f"/api/v1/runs/{done}/images/r00_c00/561/conventional.png"
    for path in ("/api/v1/runs", f"/api/v1/runs/{done}/results", image):
        first = client.get(path)
        headers = {"if-none-match": f'"other", {first.headers["etag"]}'}
        again = client.get(path, headers=headers)
        assert (again.status_code, again.content) == (304, b"")
    client.post("/api/v1/runs", json=request_body)
    changed = client.get("/api/v1/runs", headers=headers)
    assert (changed.status_code, len(changed.json())) == (200, 1)


@pytest.fixture
def burst(tmp_path):
    """A run with one block of two frames, the second brighter."""
    run = RunFolder(tmp_path / "run-0")
    key = BlockKey(run="run-0", field="r00_c00", channel="561", block=0)
    path = run.raw(key)
    shape = RawShape(frames=2, height=8, width=6, block_frames=2)
    raw.create(path, shape, pixel_um=0.1, exposure_ms=30, name="561")
    adu = np.arange(96, dtype=np.uint16).reshape(2, 8, 6)
    size, digest = raw.write_block(path, 0, adu)
    record = BlockRecord(
        key=key,
        first_frame=0,
        frames=2,
        bytes=size,
        sha256=digest,
        t_s=(0.0, 0.03),
        published=False,
    )
    with LineWriter(run.ledger) as ledger:
        ledger.append(record.model_dump_json())
    return run


def test_the_live_picture_is_the_last_frame_on_disk(burst):
    picture = LivePicture().of(burst, Contrast(low_adu=48, high_adu=95))
    shown = np.asarray(Image.open(io.BytesIO(picture.jpeg)))
    assert (picture.unit, picture.frame, shown.shape) == ("r00_c00/561", 1, (8, 6))
    assert shown[0, 0] < 20
    assert shown[-1, -1] > 235


def test_the_live_picture_is_made_five_times_a_second_at_most(burst):
    now = [10.0]
    live = LivePicture(lambda: now[0])
    first = live.of(burst, Contrast())
    assert live.of(burst, Contrast()) is first
    now[0] += 0.21
    assert live.of(burst, Contrast()) is not first


def test_without_a_frame_there_is_no_live_picture(tmp_path, client):
    with pytest.raises(RunNotFoundError, match="no frame on disk yet"):
        LivePicture().of(RunFolder(tmp_path / "run-0"), Contrast())
    assert client.get("/api/v1/live.jpg").status_code == 404


def test_measures_tell_what_answers_and_how_the_light_is(app, client, control):
    app.state.context = replace(app.state.context, metrics=Brief(0.0))
    text = client.get("/metrics").text
    for line in ('hm_up{process="acq"} 1.0', 'hm_laser_emission{line_nm="561"} 1.0'):
        assert line in text
    control.is_dead = True
    text = client.get("/metrics").text
    assert 'hm_up{process="acq"} 0.0' in text
    assert "hm_disk_free_bytes" in text


def test_the_stage_is_moved_to_a_place_that_is_one(client):
    where = {"x_um": 1.5, "y_um": -2.0}
    assert client.post("/api/v1/stage/move", json=where).json() == where
    for wrong in ({"x_um": 1.0}, {"x_um": "1", "y_um": 0}, {"x_um": 1e999, "y_um": 0}):
        body = json.dumps(wrong)
        headers = {"content-type": "application/json"}
        answer = client.post("/api/v1/stage/move", content=body, headers=headers)
        assert answer.status_code == 422
