"""Health, metrics and the documentation of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse, Response
from openapi_ui_bundles.swagger_ui import static_path
from prometheus_client import CONTENT_TYPE_LATEST

from trigger_api.errors import NotFound, NotReady
from trigger_api.routers.deps import Served
from trigger_api.schemas import Health

router = APIRouter(tags=["system"])

_ASSETS = {path.name: path for path in Path(static_path).iterdir() if path.suffix in {".js", ".css", ".png"}}


@router.get("/health/live")
@router.head("/health/live", include_in_schema=False)  # as load balancers ask
async def live() -> Health:
    """The process is running and answers."""
    return Health(status="ok")


@router.get("/health/ready")
@router.head("/health/ready", include_in_schema=False)
async def ready(service: Served) -> Health:
    """Every model is ready: it has answered at every batch size. Before that, 503 with Retry-After."""
    if not service.registry.ready:
        raise NotReady("models are loading, or one has failed: see the log", retry_after=2)
    return Health(status="ready")


@router.get("/metrics", response_class=Response)
def metrics(service: Served) -> Response:
    """Metrics of all workers, in the format of Prometheus."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    root = request.scope.get("root_path", "")
    return {**document, "servers": [{"url": root}]} if root else document


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    """The interactive documentation; its assets come from this server."""
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
        swagger_favicon_url=f"{root}/docs/assets/favicon-32x32.png",
        swagger_ui_parameters={"validatorUrl": None},  # the validator would send the document to another host
    )


@router.get("/docs/assets/{name}", include_in_schema=False)
async def docs_asset(name: str) -> FileResponse:
    """One file of the documentation."""
    if name not in _ASSETS:
        raise NotFound(f"there is no asset {name!r}")
    return FileResponse(_ASSETS[name])
