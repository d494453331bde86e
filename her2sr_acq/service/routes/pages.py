"""The pages: rendered here, kept fresh by asking for their moving part again.

They show what REST answers and what the disk holds, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from her2sr_acq.engine.states import FINAL
from her2sr_acq.errors import RunNotFoundError
from her2sr_acq.service import wording
from her2sr_acq.service.access import ANYBODY, VISITOR
from her2sr_acq.service.context import Context, ContextDep
from her2sr_acq.service.scenes import home_scene, run_scene
from her2sr_acq.service.security import POLICY
from her2sr_proc.schema.banner import BANNER

WEB = Path(__file__).parents[1] / "web"
ASSETS = {
    "style.css": "text/css",
    "page.js": "text/javascript",
    "session.js": "text/javascript",
    "review.css": "text/css",
    "review.js": "text/javascript",
    "review_api.js": "text/javascript",
    "review_slide.js": "text/javascript",
    "review_reading.js": "text/javascript",
    "openseadragon.min.js": "text/javascript",
}

ZOOM_STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"
"""Of the one style that OpenSeadragon 6.1.1 adds to a page (its focus ring)."""

router = APIRouter(include_in_schema=False)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(WEB),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(wording.FILTERS)
    environment.globals.update(banner=BANNER, final=FINAL, symbols=wording.SYMBOLS)
    environment.globals.update(visitor=VISITOR.get)
    return environment


_TEMPLATES = _environment()


def _render(template: str, scene: Mapping[str, object]) -> HTMLResponse:
    return HTMLResponse(_TEMPLATES.get_template(template).render(scene))


@router.get("/")
def home(context: ContextDep) -> HTMLResponse:
    """Show the runs, and a form that starts one."""
    return _render("home.html.j2", home_scene(context))


@router.get("/parts/runs")
def home_part(context: ContextDep) -> HTMLResponse:
    """Return the moving part of the first page."""
    return _render("runs_part.html.j2", home_scene(context))


@router.get("/runs/{run_id}")
def run_page(run_id: str, context: ContextDep, field: str = "") -> HTMLResponse:
    """Show one run: progress, tiles, pictures, answer."""
    return _run("run.html.j2", context, run_id, field)


@router.get("/runs/{run_id}/review")
def review_page(run_id: str, context: ContextDep) -> HTMLResponse:
    """Show the review of a run; what it shows is asked for by the page's scripts."""
    try:
        context.archive.run(run_id)
    except RunNotFoundError as exc:
        page = _render("missing.html.j2", {"message": str(exc)})
        page.status_code = HTTPStatus.NOT_FOUND
        return page
    page = _render("review.html.j2", {"run_id": run_id})
    page.headers["content-security-policy"] = POLICY.replace(
        "style-src 'self'", f"style-src 'self' {ZOOM_STYLE}"
    )
    return page


@router.get("/parts/runs/{run_id}")
def run_part(run_id: str, context: ContextDep, field: str = "") -> HTMLResponse:
    """Return the moving part of a run's page."""
    return _run("run_part.html.j2", context, run_id, field)


@router.get("/login", openapi_extra=ANYBODY)
def login_page() -> HTMLResponse:
    """Ask for name and password."""
    return _render("login.html.j2", {})


@router.get("/static/{name}", openapi_extra=ANYBODY)
def asset(name: str) -> FileResponse:
    """Return the style or the script of the pages."""
    if name not in ASSETS:
        raise RunNotFoundError(f"there is no file '{name[:80]}'")
    return FileResponse(
        WEB / name, media_type=ASSETS[name], headers={"cache-control": "no-cache"}
    )


def _run(template: str, context: Context, run_id: str, field: str) -> HTMLResponse:
    try:
        return _render(template, run_scene(context, run_id, field))
    except RunNotFoundError as exc:
        page = _render("missing.html.j2", {"message": str(exc)})
        page.status_code = HTTPStatus.NOT_FOUND
        return page
