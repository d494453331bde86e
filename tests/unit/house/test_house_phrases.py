"""Whatever engine, guard and steps may say on a page has its Japanese."""

import re
from pathlib import Path

import pytest
from sentences import SENTENCE, VALUE, raised, told

from her2sr_acq import errors as acq_errors
from her2sr_acq.devices.mmcore.watch import CURES
from her2sr_acq.engine.states import RunEvent
from her2sr_acq.service import phrases
from her2sr_acq.service.strings import LANGUAGES, load
from her2sr_proc import errors as proc_errors
from her2sr_proc.nuclei import Exclusion
from her2sr_proc.review import shown
from her2sr_proc.schema.case import Act, Counted
from her2sr_proc.scoring.workflow import COMMENTS, Event, State

ROOT = Path(__file__).parents[3]
RAISING = ("her2sr_acq/engine", "her2sr_acq/plan", "her2sr_acq/devices")
RAISING += ("her2sr_acq/guard", "her2sr_acq/accounts", "her2sr_acq/service")
RAISING += ("her2sr_acq/stream", "her2sr_proc/review", "her2sr_proc/scoring")
FILES = ("her2sr_acq/control.py", "her2sr_acq/control_server.py")
FILES += ("her2sr_acq/yaml_file.py",)
TELLING = (
    *(f"her2sr_acq/engine/{name}.py" for name in ("ballot", "choices", "choice")),
    *(f"her2sr_acq/engine/{name}.py" for name in ("preflight", "examining", "fading")),
    *(f"her2sr_acq/engine/{name}.py" for name in ("verification", "witness", "runner")),
    *(f"her2sr_acq/engine/{name}.py" for name in ("recovery", "stopping", "helm")),
    *(f"her2sr_acq/engine/{name}.py" for name in ("unit", "fields", "room", "gaps")),
    *(f"her2sr_acq/checkup/{name}.py" for name in ("host", "light", "microscope")),
    *(f"her2sr_acq/guard/{name}.py" for name in ("vigil", "supervisor", "reception")),
    "her2sr_acq/devices/mmcore/watch.py",
    "her2sr_acq/service/gauges.py",
    *(f"her2sr_proc/scoring/{name}.py" for name in ("reasons", "criteria", "groups")),
    *(f"her2sr_proc/offline/{name}.py" for name in ("flags", "geometry", "settling")),
    *(f"her2sr_proc/offline/{name}.py" for name in ("entering", "runs", "fields")),
)
CODES = {
    error.code
    for module in (acq_errors, proc_errors)
    for error in vars(module).values()
    if isinstance(error, type) and hasattr(error, "code")
}


def unsaid(sentences):
    return sorted(
        {
            f"{s.place}: {s.text}"
            for s in sentences
            if phrases.say("ja", s.text) == s.text
            and phrases.subject("ja", s.text) == s.text  # of a line of a check
        }
    )


def test_every_sentence_that_is_raised_has_its_japanese():
    paths = [path for place in RAISING for path in (ROOT / place).rglob("*.py")]
    found = [s for path in (*paths, *map(ROOT.joinpath, FILES)) for s in raised(path)]
    sentences = [s for s in found if SENTENCE.search(s.text)]
    assert len(sentences) > 200
    assert unsaid(sentences) == []


@pytest.mark.parametrize("path", TELLING)
def test_every_reason_alarm_check_and_flag_has_its_japanese(path):
    assert unsaid(told(ROOT / path)) == []


def test_every_code_of_a_problem_has_its_words():
    assert len(CODES) > 30
    assert {code for code in CODES if f"problem.{code}" not in load().texts} == set()


@pytest.mark.parametrize(
    "key",
    [
        *(f"review.state_{state.value}" for state in State),
        *(f"review.next_{phrases.code_of(event.value)}" for event in Event),
        *(f"review.blind_{why}" for why in shown.WHY if why),
        *(f"verb.{phrases.code_of(event.value)}" for event in RunEvent),
    ],
)
def test_every_value_of_an_enumeration_has_its_words(key):
    assert set(load().texts[key]) == set(LANGUAGES)


@pytest.mark.parametrize(
    "said", [*(str(one) for one in Exclusion), *COMMENTS.values(), *CURES.values()]
)
def test_every_fixed_sentence_has_its_japanese(said):
    assert phrases.say("ja", said) != said


def test_a_criterion_is_named_before_its_sentence():
    said = "internal control: ratio of 0 normal nuclei of the slide unknown; 1.0 within"
    told = phrases.say("ja", f"{said} 0.15 is expected")
    assert told == "内部対照: スライドの正常核 0 個の比 不明（1.0 ± 0.15 が期待値）"


def test_every_act_of_a_record_has_its_words():
    kinds = [kind.model_fields["kind"].default for kind in Act.__args__[0].__args__]
    assert len(kinds) > 10
    assert all(f"review.kind_{kind}" in load().texts for kind in (*kinds, shown.HIDDEN))


def test_every_key_of_an_act_has_its_words():
    acts = Act.__args__[0].__args__
    keys = {key for act in acts for key in (*act.model_fields, *Counted.model_fields)}
    assert len(keys) > 25
    words = load().texts
    assert {key for key in keys - {"kind"} if f"review.key_{key}" not in words} == set()


def test_no_two_sentences_have_one_shape():
    shapes = [
        re.sub(r"\{\w+\}", "{}", text["en"])
        for key, text in load().texts.items()
        if key.startswith("phrase.")
    ]
    assert sorted({s for s in shapes if shapes.count(s) > 1}) == []


def test_every_sentence_of_the_table_is_found_as_itself():
    """A shape that another one swallows would say the wrong thing."""
    for key, text in load().texts.items():
        if not key.startswith("phrase."):
            continue
        said = re.sub(r"\{\w+\}", VALUE, text["en"])
        found = phrases.find(said)
        assert found is not None, key
        assert found[0] == key, (key, found)


def test_values_stand_in_the_sentence_and_are_words_themselves():
    said = phrases.say("ja", "cannot pause a run that is completed")
    assert said == "「完了」の測定では「一時停止」はできません"
    nested = phrases.say("ja", "r00_c01 was not reached: xy: no answer within 5 s")
    assert nested == "r00_c01 に到達できません: xy: 5 秒以内に応答がありません"
    joined = phrases.say("ja", "stopped after 3 frames; free text of a person")
    assert joined == "3 枚で中止。free text of a person"


def test_no_sentence_of_the_table_is_so_bare_that_it_takes_what_people_write():
    bare = {
        key: text["en"]
        for key, text in load().texts.items()
        if key.startswith("phrase.")
        and "{" in text["en"]
        and len(re.sub(r"\{\w+\}|[^a-z]", "", text["en"])) < 5
        and not {"low", "high"} <= set(re.findall(r"\{(\w+)\}", text["en"]))
    }
    assert bare == {}


@pytest.mark.parametrize(
    "text", ["", "seen by op-2", "from here to there, mm", "a" * 5000, "{name}", "((("]
)
def test_what_a_person_wrote_stays_as_it_is(text):
    assert phrases.say("ja", text) == text


def test_english_is_never_touched():
    said = "run x has the microscope; it is in your hands after it"
    assert phrases.say("en", said) is said
