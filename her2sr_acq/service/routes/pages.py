"""The pages: rendered here, kept fresh by asking for their moving part again.

They show what REST answers and what the disk holds, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from her2sr_acq.engine.states import FINAL
from her2sr_acq.errors import RunNotFoundError
from her2sr_acq.plan.select import Choose
from her2sr_acq.service import language, wording
from her2sr_acq.service.access import ANYBODY, VISITOR, ActorDep
from her2sr_acq.service.choice_scene import choice_scene
from her2sr_acq.service.context import Context, ContextDep
from her2sr_acq.service.language import PLACE, SPOKEN, label, section, t
from her2sr_acq.service.plan_scene import Wish
from her2sr_acq.service.run_list import Wanted, compare_scene, list_scene
from her2sr_acq.service.scene_morning import last_night, morning_scene
from her2sr_acq.service.scenes import now_scene, run_scene
from her2sr_acq.service.security import POLICY
from her2sr_acq.service.settings_scene import devices_scene, settings_scene
from her2sr_acq.service.start_scene import drawn_scene, queue_scene, start_scene
from her2sr_acq.service.strings import LANGUAGES
from her2sr_proc.schema.banner import BANNER

WEB = Path(__file__).parents[1] / "web"
ASSETS = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "start.js": "text/javascript",
    "devices.js": "text/javascript",
    "settings.js": "text/javascript",
    "openseadragon.LICENSE.txt": "text/plain",
    "page.js": "text/javascript",
    "session.js": "text/javascript",
    "run.js": "text/javascript",
    "run.css": "text/css",
    "choose.css": "text/css",
    "choose.js": "text/javascript",
    "review.css": "text/css",
    "review.js": "text/javascript",
    "review_api.js": "text/javascript",
    "review_slide.js": "text/javascript",
    "review_reading.js": "text/javascript",
    "openseadragon.min.js": "text/javascript",
}

ZOOM_STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"
"""Of the one style that OpenSeadragon 6.1.1 adds to a page (its focus ring)."""

router = APIRouter(include_in_schema=False, dependencies=[Depends(language.listen)])


Size = Annotated[int | None, Query(ge=1, le=100)]
Place = Annotated[float | None, Query(allow_inf_nan=False)]


def _wanted(
    search: Annotated[str, Query(max_length=100)] = "",
    state: Annotated[str, Query(max_length=40)] = "",
    order: Annotated[str, Query(max_length=20)] = "newest",
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
) -> Wanted:
    return Wanted(search, state, order, page)


WantedDep = Annotated[Wanted, Depends(_wanted)]


def _wish(  # noqa: PLR0913 - the fields of a form
    protocol: Annotated[str, Query(max_length=200)],
    rows: Size = None,
    columns: Size = None,
    sample: Annotated[str, Query(max_length=64)] = "",
    centre_x: Place = None,
    centre_y: Place = None,
    choose: Choose | None = None,
    most: Annotated[int | None, Query(ge=1, le=1000)] = None,
) -> Wish:
    centre = None if centre_x is None or centre_y is None else (centre_x, centre_y)
    return Wish(protocol, rows, columns, sample, centre, choose, most)


WishDep = Annotated[Wish, Depends(_wish)]


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
    environment.filters.update(
        label=label,
        said=language.said,
        sentence=language.sentence,
        word=language.word,
        known=language.known,
        duration=language.duration,
    )
    environment.globals.update(
        visitor=VISITOR.get, t=t, section=section, language=SPOKEN.get
    )
    environment.globals.update(place=PLACE.get)
    return environment


_TEMPLATES = _environment()


def _render(template: str, scene: Mapping[str, object]) -> HTMLResponse:
    """Return a part, or a page that stands without the microscope."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(scene))


def _page(template: str, context: Context, scene: Mapping[str, object]) -> HTMLResponse:
    """Return a page under the line that says how the microscope stands."""
    return _render(template, {**scene, "now": now_scene(context)})


@router.get("/parts/now")
def now_part(context: ContextDep) -> HTMLResponse:
    """Return the line of every page: run in progress, latch, room on disk."""
    return _render("now_part.html.j2", {"now": now_scene(context)})


@router.get("/language/{code}", openapi_extra=ANYBODY)
def speak(code: str, then: str = "/") -> RedirectResponse:
    """Keep in this browser which language is spoken, and go back to the page."""
    if code not in LANGUAGES:
        raise RunNotFoundError(f"there is no language '{code[:80]}'")
    # `//host` and `/\\host` would lead to another site
    is_ours = then.startswith("/") and not then.startswith(("//", "/\\"))
    answer = RedirectResponse(then if is_ours else "/", 303)
    answer.set_cookie(language.COOKIE, code, max_age=31_536_000, samesite="strict")
    return answer


@router.get("/")
def start_page(context: ContextDep) -> HTMLResponse:
    """Start a run: sample, protocol, preview, checks; and the slides that wait."""
    return _page("home.html.j2", context, start_scene(context))


@router.get("/parts/plan")
def plan_part(context: ContextDep, wish: WishDep) -> HTMLResponse:
    """Return the drawing of a protocol's fields, and what they cost."""
    protocols = context.control.protocols()
    return _render("plan_part.html.j2", drawn_scene(context, protocols, wish))


@router.get("/parts/queue")
def queue_part(context: ContextDep) -> HTMLResponse:
    """Return the slides that wait or are being measured."""
    return _render("queue_part.html.j2", queue_scene(context))


@router.get("/runs")
def runs_page(context: ContextDep, wanted: WantedDep) -> HTMLResponse:
    """List the runs: searched, filtered, sorted."""
    return _page("runs.html.j2", context, list_scene(context, wanted))


@router.get("/parts/runs")
def runs_part(context: ContextDep, wanted: WantedDep) -> HTMLResponse:
    """Return the list of runs alone."""
    return _render("runs_part.html.j2", list_scene(context, wanted))


@router.get("/compare")
def compare_page(
    context: ContextDep,
    actor: ActorDep,
    run: Annotated[list[str] | None, Query(max_length=500)] = None,
) -> HTMLResponse:
    """Show two runs side by side."""
    names = run if run is not None and len(run) == 2 else []
    return _page("compare.html.j2", context, compare_scene(context, names, actor))


@router.get("/devices")
def devices_page(context: ContextDep) -> HTMLResponse:
    """Show every device, and what a person may do by hand."""
    return _page("devices.html.j2", context, devices_scene(context))


@router.get("/parts/devices")
def devices_part(context: ContextDep) -> HTMLResponse:
    """Return what every device says of itself."""
    return _render("devices_part.html.j2", devices_scene(context))


@router.get("/settings")
def settings_page(context: ContextDep, actor: ActorDep) -> HTMLResponse:
    """Show language, sound, disk, versions; users to an admin."""
    return _page("settings.html.j2", context, settings_scene(context, actor))


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
        page = _page("missing.html.j2", context, {"message": str(exc)})
        page.status_code = HTTPStatus.NOT_FOUND
        return page
    page = _page("review.html.j2", context, {"run_id": run_id})
    page.headers["content-security-policy"] = POLICY.replace(
        "style-src 'self'", f"style-src 'self' {ZOOM_STYLE}"
    )
    return page


@router.get("/parts/runs/{run_id}")
def run_part(run_id: str, context: ContextDep, field: str = "") -> HTMLResponse:
    """Return the moving part of a run's page."""
    return _run("run_part.html.j2", context, run_id, field)


@router.get("/parts/runs/{run_id}/choice")
def choice_part(run_id: str, context: ContextDep) -> HTMLResponse:
    """Return the choice of a run's fields."""
    return _render("choice_part.html.j2", choice_scene(context, run_id))


@router.get("/morning")
def last_morning(context: ContextDep) -> Response:
    """Lead to the morning page of the last night."""
    try:
        return RedirectResponse(f"/runs/{last_night(context)}/morning", 303)
    except RunNotFoundError as exc:
        page = _page("missing.html.j2", context, {"message": str(exc)})
        page.status_code = HTTPStatus.NOT_FOUND
        return page


@router.get("/runs/{run_id}/morning")
def morning_page(run_id: str, context: ContextDep, actor: ActorDep) -> HTMLResponse:
    """Show what a night left: complete, partial, answer, pictures."""
    try:
        scene = morning_scene(context, run_id, actor)
    except RunNotFoundError as exc:
        page = _page("missing.html.j2", context, {"message": str(exc)})
        page.status_code = HTTPStatus.NOT_FOUND
        return page
    return _page("morning.html.j2", context, scene)


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
        scene = run_scene(context, run_id, field)
        if template.endswith("_part.html.j2"):
            return _render(template, scene)
        scene |= choice_scene(context, run_id)
        return _page(template, context, scene)
    except RunNotFoundError as exc:
        page = _page("missing.html.j2", context, {"message": str(exc)})
        page.status_code = HTTPStatus.NOT_FOUND
        return page
