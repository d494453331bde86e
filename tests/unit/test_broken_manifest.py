"""A manifest that cannot be read says what helps, and is left as it is."""

import json

import pytest
from run_folders import make_run

from her2sr_proc.errors import DataError
from her2sr_proc.store.manifest import read_manifest


def with_version(text, version):
    return json.dumps(json.loads(text) | {"version": version})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda t: with_version(t, 99), "has version 99.*install the newer her2sr"),
        (lambda t: with_version(t, "1"), "'version'.*restore it from a copy"),
        (lambda t: t[: len(t) // 2], "is damaged.*restore it from a copy"),
        (lambda _: "", "is damaged.*restore it from a copy"),
        (lambda _: "\0" * 100, "is damaged.*restore it from a copy"),
        (lambda _: "[]", "is damaged.*restore it from a copy"),
        (lambda _: '{"a":' * 5000, "is damaged.*restore it from a copy"),
        (lambda t: t.replace('"sample"', '"simple"'), "'.*'.*restore it from a copy"),
    ],
    ids=["newer", "odd", "half", "empty", "zeros", "list", "deep", "misnamed"],
)
def test_a_broken_manifest_is_one_sentence_with_the_cure(tmp_path, spoil, says):
    run = make_run(tmp_path / "r1", frames={"561": 4}, size=8)
    run.manifest.write_text(spoil(run.manifest.read_text()))
    before = run.manifest.read_bytes()
    with pytest.raises(DataError, match=rf"manifest\.json of r1 .*{says}") as told:
        read_manifest(run)
    assert len(str(told.value).splitlines()) == 1
    assert run.manifest.read_bytes() == before
