"""The pages for browsers, and the files that they load."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException

from trigger_api import __version__
from trigger_api.accounts.caller import Caller
from trigger_api.errors import NotFound
from trigger_api.routers.deps import Served
from trigger_api.server.auth import authenticate, must_log_in
from trigger_api.service import Service
from trigger_api.tasks.objects.task import DetectionOptions
from trigger_api.web.assets import ASSETS, DIGEST, TYPES
from trigger_api.web.pages import PAGES, Page
from trigger_api.web.rendering import render

router = APIRouter(tags=["system"], include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # it shows who is logged in
}
_DEFAULT = DetectionOptions()
_OBJECT_LIMITS = (
    ("score_th", "Lowest score", _DEFAULT.score_threshold, 0, 1, 0.01),
    ("nms_iou", "Overlap from which two boxes are one object", _DEFAULT.iou_threshold, 0, 1, 0.01),
    ("min_height", "Smallest height, as a part of the photo's", _DEFAULT.min_height, 0, 1, 0.01),
    ("min_width", "Smallest width, as a part of the photo's", _DEFAULT.min_width, 0, 1, 0.01),
    ("maxResults", "Most objects", _DEFAULT.max_results, 1, 100, 1),
)


def page_response(
    request: Request, service: Service, caller: Caller, page: Page, template: str | None = None, **values: Any
) -> HTMLResponse:
    """A page, with the headers that keep it from loading anything of another host.

    Args:
        request: asks for it.
        service: its settings say what there is.
        caller: who is logged in, if somebody is.
        page: which it is.
        template: its name, where it is not that of the page; such a page has no script.
        values: what the template shows.
    """
    settings = service.settings
    html = render(
        f"{template or page.name}.html",
        root=request.scope.get("root_path", ""),
        url=str(request.base_url).rstrip("/"),
        page=page,
        scripted=template is None,
        version=__version__,
        has_accounts=settings.has_database,
        may_sign_up=settings.sign_up != "closed",
        user=caller.session_id,
        trains=caller.admin and settings.trained_words is not None,
        max_characters=settings.max_text_characters,
        **values,
    )
    return HTMLResponse(html, headers=_HEADERS)


def log_in_first(request: Request, caller: Caller) -> Response | None:
    """A redirection to the page where one logs in, which leads back; None if the caller may see this page."""
    if not must_log_in(request, caller):
        return None
    root: str = request.scope.get("root_path", "")
    wanted = urlencode({"next": request.scope["path"].removeprefix(f"{root}/")})
    return RedirectResponse(f"{root}/log-in?{wanted}", HTTPStatus.SEE_OTHER)


def _endpoint(page: Page) -> Callable[..., Awaitable[Response]]:
    async def show(request: Request, service: Served, caller: Annotated[Caller, Depends(authenticate)]) -> Response:
        if page.needs == "accounts":
            _ = service.accounts
        if page.path == "/" and not _is_browser(request):
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
        limits: dict[str, Any] = {"limits": _OBJECT_LIMITS} if page.name == "objects" else {}
        return log_in_first(request, caller) or page_response(request, service, caller, page, **limits)

    return show


def _is_browser(request: Request) -> bool:
    """Whether a page is wanted. Clients of the original service at ``/`` speak JSON alone."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted or "json" not in accepted


for _page in PAGES:
    router.add_api_route(_page.path, _endpoint(_page), methods=["GET", "HEAD"], name=f"page_{_page.name}")


@router.get("/static/{digest}/{name:path}")
async def static_file(digest: str, name: str) -> FileResponse:
    """One file that pages load. Its address changes with its content, so that browsers need not ask again."""
    if name not in ASSETS:
        raise NotFound(f"there is no file {name[:64]!r}")
    path = ASSETS[name]
    kept = "public, max-age=31536000, immutable" if digest == DIGEST else "no-cache"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=TYPES[path.suffix], headers=headers)
