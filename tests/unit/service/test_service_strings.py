"""Every page speaks two languages out of one table."""

import html
import json
import re
import time
from typing import get_args

import pytest

from her2sr_acq.engine.states import RunState
from her2sr_acq.errors import ConfigError
from her2sr_acq.service import phrases
from her2sr_acq.service.language import SPOKEN, choose, duration
from her2sr_acq.service.routes.pages import WEB
from her2sr_acq.service.strings import LANGUAGES, load
from her2sr_proc.schema.ledger import UnitState
from her2sr_proc.schema.reading import Picture
from her2sr_proc.schema.results import ARMS, Status


def test_every_state_has_words_in_every_language():
    for state in (*RunState, *UnitState):
        assert all(load().text(code, f"state.{state}") for code in LANGUAGES)


def test_templates_and_rules_ask_for_strings_that_exist():
    asked = {
        key
        for page in WEB.glob("*.j2")
        for key in re.findall(r"\bt\([\"'](\w+\.\w+)[\"'][,)]", page.read_text())
    }
    assert len(asked) > 20
    assert asked <= set(load().texts)


@pytest.mark.parametrize(("code", "sign"), [("en", "Sign"), ("ja", "署名")])
def test_the_review_brings_its_scripts_their_words(client, done, code, sign):
    headers = {"accept-language": code}
    page = client.get(f"/runs/{done}/review", headers=headers).text
    found = re.search(r'data-words="([^"]*)"', page)
    words = json.loads(html.unescape(found[1]))
    assert words["sign"] == sign
    scripts = "".join(path.read_text() for path in WEB.glob("review*.js"))
    asked = set(re.findall(r"\bt\(\"(\w+)\"", scripts))
    assert len(asked) > 50
    assert asked <= set(words)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{en="a"}', "languages"),
        ('{en="a", ja=" "}', "empty"),
        ('{en="a {n}", ja="b"}', "placeholders"),
    ],
)
def test_a_table_that_lacks_something_is_refused(tmp_path, entry, message):
    path = tmp_path / "strings.toml"
    path.write_text(f"[a]\nkey = {entry}\n")
    with pytest.raises(ConfigError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("cookie", "accepted", "spoken"),
    [
        (None, "", "en"),
        (None, "ja-JP,en;q=0.5", "ja"),
        (None, "ja;q=0.2,en-GB;q=0.9", "en"),
        (None, "fr, ja;q=nonsense", "ja"),
        ("en", "ja", "en"),
        ("xx", "ja", "ja"),
    ],
)
def test_the_language_is_the_cookies_else_the_browsers(cookie, accepted, spoken):
    assert choose(cookie, accepted) == spoken


def test_a_switch_of_language_is_kept_and_leads_back(client):
    answer = client.get("/language/ja?then=/runs/x", follow_redirects=False)
    assert answer.headers["location"] == "/runs/x"
    assert '<html lang="ja">' in client.get("/").text


@pytest.mark.parametrize("elsewhere", ["//evil.test", "https://evil.test", "/\\evil"])
def test_a_switch_of_language_leads_to_no_other_site(client, elsewhere):
    answer = client.get(
        "/language/en", params={"then": elsewhere}, follow_redirects=False
    )
    assert answer.headers["location"] == "/"


def test_japanese_pages_and_problems_speak_japanese_and_keep_their_codes(client):
    ja = {"accept-language": "ja"}
    body = {"protocol": "other", "sample": "s1", "operator": "op"}
    for path, code, word in (
        ("/api/v1/runs/none/results", "not-found", "ディスクにありません"),
        ("/api/v1/runs/none/events", "not-found", "ディスクにありません"),
    ):
        told = client.get(path, headers=ja)
        assert word in told.json()["detail"]
        assert told.headers["content-language"] == "ja"
        plain = client.get(path)
        assert plain.json()["code"] == told.json()["code"] == code
        assert plain.json()["detail"].startswith("there is no run")
    checked = client.post("/api/v1/preflight", json=body | {"protocol": "small"})
    assert checked.json()["checks"][0]["subject"] == "plan"
    asked = body | {"protocol": "small"}
    checked = client.post("/api/v1/preflight", json=asked, headers=ja)
    assert checked.json()["checks"][0]["subject"] == "計画"


def test_a_number_out_of_its_range_is_told_in_japanese_with_the_range(client):
    told = client.post(
        "/api/v1/stage/jog", json={"dx_um": "3"}, headers={"accept-language": "ja"}
    )
    assert told.json()["detail"] == (
        "「dx_um」には数値（-1000000～1000000 um）を指定してください（'3' は不可）"
    )


def test_times_are_told_in_the_units_of_the_language():
    assert duration(3725.0) == "1 h 2 min"
    spoken = SPOKEN.set("ja")
    try:
        assert duration(3725.0) == "1 時間 2 分"
        assert duration(9.0) == "9 秒"
    finally:
        SPOKEN.reset(spoken)


def test_words_that_the_review_makes_up_of_values_are_there():
    texts = load().texts
    for arm in ARMS:
        assert f"review.arm_{arm}" in texts
    for picture in get_args(Picture):
        assert f"review.picture_{picture}" in texts
    for status in get_args(Status):
        assert f"review.status_{status}" in texts


@pytest.mark.parametrize("length", [500, 1999, 10**6])
def test_a_sentence_of_anybodys_making_is_looked_up_at_once(length):
    hostile = " nm laser was set to x x and x of x reads x " * (length // 40)
    began = time.thread_time()
    assert phrases.say("ja", hostile) == hostile
    assert time.thread_time() - began < 1.0


def test_a_hole_ends_where_the_words_after_it_first_stand():
    said = (
        "the 561 nm laser was set to 5 mW and power of laser reads 4 of 5 mW; check "
        "its mode and its warm-up"
    )
    key, values = phrases.find(said)
    assert key == "phrase.dev_laser_reads"
    assert (values["label"], values["found"], values["unit2"]) == (
        "laser",
        "4",
        "of 5 mW",
    )


def test_a_reason_with_a_semicolon_is_told_whole_beside_its_frames():
    why = (
        "the filter of 561 did not arrive in time (Emission: still turning after 0.01 "
        "s; check that it turns freely); nothing was lit: free the filter wheel, then "
        "resume; if it is as slow as this, stop the run and raise "
        "filter_wheel.timeout_s"
    )
    told = phrases.say("ja", f"r00_c00/561: {why}; 0 of 400 frames are kept")
    assert told == f"r00_c00/561: {phrases.say('ja', why)}。400 枚中 0 枚を保存"
    assert "Emission: 0.01 秒後も回転中です" in told
    assert "filter_wheel.timeout_s を延ばして" in told


@pytest.mark.parametrize(
    "flag",
    [
        "r00_c00: autofluorescence: 3 conventional signals in nuclei shine in both "
        "colours and were left out",
        "r00_c00: HER2: 2 isolated signals; what is typical leans on the device's "
        "values",
    ],
)
def test_what_a_count_says_of_a_field_is_told_in_japanese(flag):
    told = phrases.say("ja", flag)
    assert not re.search("signals|colours|typical", told)
