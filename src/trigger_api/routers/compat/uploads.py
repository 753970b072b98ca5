"""The upload page of the original digit service."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import UploadFile

from trigger_api.accounts.caller import Caller
from trigger_api.errors import NotFound, ServiceError, Unprocessable
from trigger_api.history.media import Media
from trigger_api.media.drawing import preview
from trigger_api.media.image import to_base64
from trigger_api.routers import media
from trigger_api.routers.answers import digits_answer
from trigger_api.routers.deps import Served
from trigger_api.routers.history import FileName
from trigger_api.routers.pages import log_in_first, page_response
from trigger_api.routers.recorder import RecordedIfSignedIn, Recorder
from trigger_api.server.auth import authenticate
from trigger_api.service import Service
from trigger_api.storage.predictions import Filters
from trigger_api.tasks.digits.task import Digits
from trigger_api.web.pages import Page

router = APIRouter(tags=["compatible"], include_in_schema=False)

_PAGE = Page("digits", "/upload-image", "Upload a picture")
_PREVIEW_SIDE = 640  # pixels
_NAME_LENGTH = 128  # characters of a file's name on the page
_SAID = {
    True: "The picture was read, and is kept in the history.",
    False: "The picture was read, but could not be kept.",
    None: "The picture was read.",
}

Asking = Annotated[Caller, Depends(authenticate)]


@router.api_route("/upload-image", methods=["GET", "HEAD"])
async def upload_form(request: Request, service: Served, caller: Asking) -> Response:
    """The form."""
    return log_in_first(request, caller) or _page(request, service, caller)


@router.post("/upload-image")
async def upload_image(request: Request, service: Served, caller: Asking, recorder: RecordedIfSignedIn) -> HTMLResponse:
    """The form again, with the picture and the digits on it, or with what was wrong with it."""
    try:
        shown = await _read(request, service, recorder)
    except ServiceError as error:
        alert = f"{error.detail[:1].upper()}{error.detail[1:]}."
        return _page(request, service, caller, alert=alert, status=error.status)
    return _page(request, service, caller, **shown)


async def _read(request: Request, service: Service, recorder: Recorder) -> dict[str, Any]:
    async with request.form() as form:
        image = form.get("image")
        if not isinstance(image, UploadFile) or not image.filename:
            raise Unprocessable("choose a picture first")
        name, data = image.filename, await image.read()
    result = await service.task(Digits).predict(data)
    quality = service.settings.jpeg_quality
    small = await service.engine.preprocess(preview, data, service.image_limits, _PREVIEW_SIDE, quality)
    answer = await recorder.keep(digits_answer(result), Media(data, name), task=Digits.name)
    return {
        "name": name[:_NAME_LENGTH],
        "message": _SAID[answer.saved],
        "prediction": result.digits[0].value if result.digits else None,
        "numbers": list(result.numbers),
        "preview": f"data:image/jpeg;base64,{to_base64(small)}",
    }


@router.get("/uploads/{name}")
async def uploaded(request: Request, service: Served, caller: Asking, name: FileName) -> Response:
    """A picture that the caller has uploaded: the latest of this name in the history."""
    found = await service.history.page(caller, Filters(task=Digits.name, file_name=name), limit=1)
    if not found:
        raise NotFound("there is no upload of this name")
    return media.response(request, await service.history.media(caller, found[0].id))


def _page(
    request: Request,
    service: Service,
    caller: Caller,
    *,
    alert: str = "",
    name: str | None = None,
    status: int = HTTPStatus.OK,
    **shown: Any,
) -> HTMLResponse:
    page = page_response(request, service, caller, _PAGE, "upload-image", alert=alert, name=name, **shown)
    page.status_code = int(status)
    return page
