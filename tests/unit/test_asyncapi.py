"""The committed document of the streams is what the code says, and holds messages."""

import importlib.util
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from stations import rig

from her2sr_acq.control_server import VERBS, ControlServer
from her2sr_acq.stream.envelope import Answer, Fault, Question
from her2sr_proc.schema.block import BlockHeader, BlockKey
from her2sr_proc.wire import encode

ROOT = Path(__file__).parents[2]
COMMITTED = json.loads((ROOT / "docs" / "asyncapi.json").read_text())


def test_the_committed_document_is_what_the_code_says():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools/asyncapi.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.document() == COMMITTED, "write it again: make openapi"


def check(name: str, message: bytes) -> None:
    schema = {**COMMITTED["components"]["schemas"][name], **COMMITTED}
    jsonschema.Draft202012Validator(schema).validate(json.loads(message))


def test_a_block_on_the_wire_is_as_the_document_says():
    key = BlockKey(run="r", field="r00_c00", channel="561", block=0)
    header = BlockHeader(
        key=key, first_frame=0, frames=1, height=2, width=3, t_s=(0.0,)
    )
    head, pixels = encode(header, np.zeros((1, 2, 3), np.uint16))
    check("BlockHeader", head)
    assert len(pixels) == 2 * 1 * 2 * 3
    with pytest.raises(jsonschema.ValidationError):
        check("BlockHeader", b'{"version": 2}')


def test_questions_and_answers_are_as_the_document_says():
    check(
        "Question",
        Question(verb="stop", body={"id": "r"}, fence=3, by="op")
        .model_dump_json()
        .encode(),
    )
    refused = Answer(ok=False, error=Fault(code="not-found", message="no run"))
    check("Answer", refused.model_dump_json().encode())
    for name in ("Question", "Answer"):
        with pytest.raises(jsonschema.ValidationError):
            check(name, b'{"surprise": 1}')


def test_every_verb_of_the_control_socket_is_in_the_document(tmp_path):
    with rig(tmp_path) as bench:
        server = ControlServer(bench.desk, "inproc://verbs")
        with server:
            assert set(server._verbs) == VERBS
    said = COMMITTED["channels"]["control"]["description"]
    assert all(verb in said for verb in VERBS)
