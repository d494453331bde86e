"""One thing that people are told. No sample, no operator: it leaves the house."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from pydantic import Field

from her2sr_acq.config_notify import NoticeKind
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.schema.model import Frozen

_WORDS: dict[NoticeKind | Literal["test"], str] = {
    "start": "run started",
    "pause": "run paused",
    "fault": "fault",
    "low_disk": "little room on the disk",
    "finish": "run finished",
    "test": "test of this target",
}
LONGEST_DETAIL = 500


class Notice(Frozen):
    """What happened, once; sent again it keeps its id."""

    id: str = Field(description="the same when it is sent again")
    kind: NoticeKind | Literal["test"]
    microscope: str
    run: str | None = None
    state: str = Field(default="", description="of the run")
    detail: str = Field(default="", max_length=LONGEST_DETAIL)
    at: datetime

    @property
    def title(self) -> str:
        """One line that says it."""
        run = f": {self.run}" if self.run else ""
        return f"{self.microscope}: {_WORDS[self.kind]}{run}"

    @property
    def text(self) -> str:
        """All of it in plain words."""
        state = f"State: {self.state.replace('_', ' ')}." if self.state else ""
        lines = (self.title, state, self.detail, f"At {self.at.isoformat()}", BANNER)
        return "\n".join(line for line in lines if line)

    def body(self, style: Literal["generic", "slack"]) -> bytes:
        """Return it as the JSON that a webhook is sent."""
        if style == "slack":
            return json.dumps({"text": self.text}).encode()
        told = self.model_dump(mode="json") | {"title": self.title, "banner": BANNER}
        return json.dumps(told, sort_keys=True).encode()
