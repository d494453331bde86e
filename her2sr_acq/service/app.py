"""The web application: routes, problem documents and what protects them, put together.

Owns no hardware and no state: it may crash or be absent, and a run goes on.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware import Middleware

from her2sr_acq.service import access, bodies, document, problems
from her2sr_acq.service.context import Context
from her2sr_acq.service.etags import ETags
from her2sr_acq.service.recorder import Recorder
from her2sr_acq.service.routes import (
    devices,
    events,
    health,
    images,
    lease,
    live,
    metrics,
    pages,
    results,
    review,
    review_pictures,
    runs,
    safety,
    selection,
    session,
    users,
)
from her2sr_acq.service.security import BodyLimit, BrowserHeaders, KnownHosts
from her2sr_proc.schema.banner import BANNER

API = "/api/v1"


def create_app(context: Context) -> FastAPI:
    """Return the application over what ``context`` holds."""
    app = FastAPI(
        title="her2sr",
        version="1",
        description=f"Acquisition and results of HER2 super-resolution FISH. {BANNER}",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # the stock pages load their scripts from elsewhere
        redoc_url=None,
        middleware=[
            Middleware(BrowserHeaders),
            Middleware(KnownHosts, hosts=context.hosts),
            Middleware(BodyLimit),
            Middleware(ETags),
            Middleware(Recorder),
        ],
        dependencies=[Depends(access.authorise), Depends(bodies.require_text)],
    )
    app.state.context = context
    problems.install(app)
    access.install(app)
    api = APIRouter(prefix=API)
    for module in (
        runs,
        selection,
        results,
        images,
        review,
        review_pictures,
        devices,
        safety,
        session,
        users,
        lease,
        live,
        events,
    ):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(pages.router)
    document.install(app)
    return app
