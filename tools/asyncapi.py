"""Write ``docs/asyncapi.json``: what goes over the ZeroMQ sockets, as AsyncAPI 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from her2sr_acq.control_server import ORDERS, VERBS
from her2sr_acq.runtime import CONTROL, FRAMES, LOCALIZER, PREVIEW
from her2sr_acq.stream.envelope import (
    MAX_ANSWER_BYTES,
    MAX_QUESTION_BYTES,
    Answer,
    Question,
)
from her2sr_acq.stream.publisher import HIGH_WATER
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.block import BlockHeader
from her2sr_proc.schema.preview import PreviewHeader
from her2sr_proc.wire import PIXEL

TARGET = Path(__file__).parents[1] / "docs" / "asyncapi.json"
SCHEMAS = "#/components/schemas"
MODELS: tuple[type[BaseModel], ...] = (BlockHeader, PreviewHeader, Question, Answer)


def document() -> dict[str, Any]:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "her2sr streams",
            "version": "1",
            "description": f"Sockets of one host, in a folder that only their user may "
            f"enter (mode 0700). No message holds a pickle. {BANNER}",
        },
        "defaultContentType": "application/json",
        "servers": {
            "runtime": {
                "host": "{runtime}",
                "protocol": "zmq",
                "description": "ipc:// below the runtime folder of a data folder",
                "variables": {"runtime": {"description": "HER2SR_RUNTIME"}},
            }
        },
        "channels": {"frames": _frames(), "preview": _preview(), **_questions()},
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _frames() -> dict[str, Any]:
    return {
        "address": FRAMES,
        "description": f"PUSH, to one localizer. At most {HIGH_WATER} blocks wait; "
        f"what the bus does not take is counted and read from the disk. Two parts: the "
        f"header as JSON, then the pixels of all its frames, {PIXEL.str} in C order "
        f"[frame, y, x].",
        "messages": {"block": {"$ref": "#/components/messages/block"}},
    }


def _preview() -> dict[str, Any]:
    return {
        "address": PREVIEW,
        "description": "XPUB, to whoever looks. At most five a second, of a frame of "
        "the burst thinned to 1024 pixels a side; what does not go at once is dropped. "
        "One part: four bytes with the length of the header (little endian), the "
        f"header as JSON, the pixels, {PIXEL.str} in C order [y, x].",
        "messages": {"preview": {"$ref": "#/components/messages/preview"}},
    }


def _questions() -> dict[str, Any]:
    said = {
        "control": (CONTROL, f"verbs: {', '.join(sorted(VERBS))}"),
        "localizer": (LOCALIZER, "verbs of the localizer, such as status"),
    }
    return {
        name: {
            "address": address,
            "description": f"REP; a question of at most {MAX_QUESTION_BYTES} bytes, an "
            f"answer of at most {MAX_ANSWER_BYTES}, one part each; {verbs}",
            "messages": {
                kind: {"$ref": f"#/components/messages/{kind}"}
                for kind in ("question", "answer")
            },
        }
        for name, (address, verbs) in said.items()
    }


def _operations() -> dict[str, Any]:
    orders = ", ".join(sorted(ORDERS))
    operations: dict[str, Any] = {
        "publishBlock": {
            "action": "send",
            "channel": {"$ref": "#/channels/frames"},
            "summary": "Offer a block that is on disk; never wait.",
        },
        "showPreview": {
            "action": "send",
            "channel": {"$ref": "#/channels/preview"},
            "summary": "Show a frame of the burst; never wait.",
        },
    }
    for name in ("control", "localizer"):
        operations[f"answer{name.capitalize()}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": f"Answer every question; {orders} heed the fence."
            if name == "control"
            else "Answer every question.",
            "messages": [{"$ref": f"#/channels/{name}/messages/question"}],
            "reply": {
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/answer"}],
            },
        }
    return operations


def _messages() -> dict[str, Any]:
    return {
        "block": {
            "title": "A block of frames",
            "contentType": "multipart/zmq",
            "payload": {
                "type": "array",
                "prefixItems": [
                    {"$ref": f"{SCHEMAS}/BlockHeader"},
                    {
                        "type": "string",
                        "format": "binary",
                        "description": f"frames x height x width, {PIXEL.str}",
                    },
                ],
                "minItems": 2,
                "maxItems": 2,
            },
        },
        "preview": {
            "title": "The newest frame, thinned",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary"},
        },
        "question": {"payload": {"$ref": f"{SCHEMAS}/Question"}},
        "answer": {"payload": {"$ref": f"{SCHEMAS}/Answer"}},
    }


def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for model in MODELS:
        schema = model.model_json_schema(ref_template=SCHEMAS + "/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return schemas


def main() -> None:
    """Write the file."""
    TARGET.write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
