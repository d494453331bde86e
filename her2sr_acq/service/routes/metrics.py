"""Metrics for Prometheus, gathered when it asks. No run or sample in a label."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.responses import Response

from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.measures import Measures
from her2sr_acq.service.problems import RESPONSES

router = APIRouter(tags=["health"], responses=RESPONSES)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_PLAIN_0_0_4: {}}}},
)
def read_metrics(context: ContextDep) -> Response:
    """Return what a dashboard shows and an alarm watches, in Prometheus' text form.

    At most a second old.
    """

    def gathered() -> bytes:
        registry = CollectorRegistry()
        registry.register(
            Measures(context.control, context.guard, context.archive, context.tallies())
        )
        return generate_latest(registry)

    text = context.metrics.get(gathered)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
