"""Dependencies of the routes: the service, and the fields that forms have in common."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError

from trigger_api.errors import ONE_ONLY, Unprocessable
from trigger_api.media.image import from_base64
from trigger_api.service import Service

_NAME_LENGTH = 64  # characters of an unknown field's name in an answer


def service_of(request: Request) -> Service:
    """The service, for routes on which a FastAPI dependency would cost more than their own work."""
    service: Service = request.app.state.service
    return service


async def decode_picture(service: Service, text: str) -> bytes:
    """The bytes of a picture in base64 or a data URL; a large one is decoded off the event loop.

    Raises:
        UnreadableMedia: it is not base64.
        Overloaded: too many requests are waiting already.
    """
    return await service.engine.preprocess(from_base64, text, size=len(text))


async def _service(request: Request) -> Service:  # async: FastAPI would run a plain function in a thread
    return service_of(request)


async def _check_form(request: Request) -> None:
    """Reject what FastAPI would ignore: unknown fields, and further values of fields that take a single one.

    Raises:
        Unprocessable: the body is not a form with files.
        RequestValidationError: it has such fields.
    """
    form = await request.form()  # already parsed by FastAPI
    fields = {field.alias: field.field_info.annotation for field in request.scope["route"].dependant.body_params}
    file = next(name for name, kind in fields.items() if UploadFile in _kinds(kind))
    is_multipart = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    if not is_multipart and fields.keys().isdisjoint(form):
        raise Unprocessable(f"send a form with the file in its field `{file}`: curl -F {file}=@FILE {request.url.path}")
    hints = {name: f"; send the file as `{file}`" for name, value in form.items() if not isinstance(value, str)}
    unknown = [name for name in form if name not in fields]
    faults = [(f"unknown field{hints.get(name, '')}", name[:_NAME_LENGTH]) for name in unknown]
    faults += [(ONE_ONLY, name) for name, kind in fields.items() if len(form.getlist(name)) > 1 and not _is_list(kind)]
    if faults:
        raise RequestValidationError([{"type": "form", "loc": ("body", name), "msg": text} for text, name in faults])


def _kinds(kind: Any) -> set[Any]:
    """A type, and those that it is made of."""
    return {kind}.union(*map(_kinds, get_args(kind)))


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list or any(map(_is_list, get_args(kind)))


Served = Annotated[Service, Depends(_service)]
StrictForm = Depends(_check_form)
Picture = Annotated[UploadFile, File(description="a picture: PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF")]
ModelName = Annotated[str | None, Form(max_length=64, description="the name of a model; by default the task's first")]
ModelVersion = Annotated[str | None, Form(max_length=64, description="a number, a label, or `latest`")]
