"""Results over HTTP, read from the disk: they outlive the hardware process."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse

from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_acq.service.security import REPORT_POLICY
from her2sr_proc.schema.results import RunResult

router = APIRouter(prefix="/runs/{run_id}", tags=["results"], responses=RESPONSES)


@router.get("/results")
def read_results(run_id: str, context: ContextDep) -> RunResult:
    """Return the answer of a run: arms, accounting, truth of a simulated one."""
    return context.archive.result(run_id)


@router.get(
    "/counts",
    response_class=FileResponse,
    responses={200: {"content": {"text/csv": {}}}},
)
def read_counts(run_id: str, context: ContextDep) -> FileResponse:
    """Return the counts as CSV, one row a nucleus."""
    return FileResponse(
        context.archive.counts(run_id),
        media_type="text/csv",
        filename=f"{run_id}_counts.csv",
    )


@router.get(
    "/report",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}}},
)
def read_report(run_id: str, context: ContextDep) -> FileResponse:
    """Return the report: one page with everything inside."""
    return FileResponse(
        context.archive.report(run_id),
        media_type="text/html",
        headers={"content-security-policy": REPORT_POLICY},
    )
