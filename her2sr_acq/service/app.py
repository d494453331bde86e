"""The web application: routes, problem documents and what protects them, put together.

Owns no hardware and no state: it may crash or be absent, and a run goes on.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware

from her2sr_acq.service import problems
from her2sr_acq.service.context import Context
from her2sr_acq.service.routes import (
    devices,
    health,
    images,
    pages,
    results,
    review,
    review_pictures,
    runs,
    safety,
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
            Middleware(KnownHosts),
            Middleware(BodyLimit),
        ],
    )
    app.state.context = context
    problems.install(app)
    api = APIRouter(prefix=API)
    for module in (runs, results, images, review, review_pictures, devices, safety):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    app.include_router(pages.router)
    return app
