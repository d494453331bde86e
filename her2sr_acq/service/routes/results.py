"""Results over HTTP, read from the disk: they outlive the hardware process."""

from __future__ import annotations

import io
import zipfile

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from her2sr_acq.errors import PlanRejectedError
from her2sr_acq.service import answers
from her2sr_acq.service.access import ActorDep
from her2sr_acq.service.context import ContextDep
from her2sr_acq.service.problems import RESPONSES
from her2sr_acq.service.security import REPORT_POLICY
from her2sr_proc.schema.results import RunResult

ZIP_BYTES = 64_000_000
"""A larger run is fetched file by file."""

UNKEPT = {"cache-control": "private, no-cache"}
"""Who becomes blind later is not to find them in the browser's own keeping."""

router = APIRouter(prefix="/runs/{run_id}", tags=["results"], responses=RESPONSES)


@router.get("/results")
def read_results(
    run_id: str, context: ContextDep, actor: ActorDep, response: Response
) -> RunResult:
    """Return the answer of a run: arms, accounting, truth of a simulated one.

    This, counts, report and archive answer 409 `blinded` to one whose reading of the
    run is open.
    """
    response.headers.update(UNKEPT)
    return answers.result(context, run_id, actor)


@router.get(
    "/counts",
    response_class=FileResponse,
    responses={200: {"content": {"text/csv": {}}}},
)
def read_counts(run_id: str, context: ContextDep, actor: ActorDep) -> FileResponse:
    """Return the counts as CSV, one row a nucleus."""
    return FileResponse(
        answers.counts(context, run_id, actor),
        media_type="text/csv",
        filename=f"{run_id}_counts.csv",
        headers=UNKEPT,
    )


@router.get(
    "/report",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}}},
)
def read_report(run_id: str, context: ContextDep, actor: ActorDep) -> FileResponse:
    """Return the report: one page with everything inside."""
    return FileResponse(
        answers.report(context, run_id, actor),
        media_type="text/html",
        headers={"content-security-policy": REPORT_POLICY, **UNKEPT},
    )


@router.get(
    "/download.zip",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}}},
)
def read_zip(run_id: str, context: ContextDep, actor: ActorDep) -> Response:
    """Return result, counts and report in one file, where they are small."""
    result = answers.result(context, run_id, actor).model_dump_json(indent=2)
    paths = [of(context, run_id, actor) for of in (answers.counts, answers.report)]
    if sum(path.stat().st_size for path in paths) > ZIP_BYTES:
        raise PlanRejectedError(
            f"the files of this run are over {ZIP_BYTES // 10**6} MB; fetch counts, "
            f"results and report one by one"
        )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{run_id}/result.json", result)
        for path in paths:
            file.write(path, f"{run_id}/{path.name}")
    return Response(
        packed.getvalue(),
        media_type="application/zip",
        headers={
            "content-disposition": f'attachment; filename="{run_id}.zip"',
            **UNKEPT,
        },
    )
