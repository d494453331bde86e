"""Asks a service what its OpenAPI document allows, and what it does not, at random.

schemathesis makes the requests from the document and judges the answers: no error of
the server, only declared statuses, types and schemas, wrong data refused, a missing
login refused, other methods refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

DOCUMENT = "/api/v1/openapi.json"
HOST = "http://127.0.0.1:8000"
STREAMS = ("/api/v1/events", "/api/v1/runs/{run_id}/events")
"""Their answers would not end: asked to stay for no time."""


@dataclass
class Tally:
    """What came of a run of requests."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def server_errors(self) -> int:
        """Answers that say we made a mistake; 503 and 507 are of the microscope."""
        return self.statuses[500]
