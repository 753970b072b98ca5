"""What routes are given: the service behind the application, and the fields that forms have in common."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError

from trigger_api.errors import ONE_ONLY
from trigger_api.media.image import from_base64
from trigger_api.service import Service


def service_of(request: Request) -> Service:
    """The same, for a route that computes less than the dependency would cost."""
    service: Service = request.app.state.service
    return service


async def decoded(service: Service, picture: str) -> bytes:
    """The bytes of a picture in base64, with or without a data URL; a large one is decoded beside the event loop.

    Raises:
        UnreadableMedia: it is no base64.
        Overloaded: too many requests wait already.
    """
    return await service.engine.preprocess(from_base64, picture, size=len(picture))


async def _service(request: Request) -> Service:  # FastAPI hands a plain function to a thread
    return service_of(request)


async def _whole_form(request: Request) -> None:
    """Refuse what the route would pass over: a field that it lacks, or a second value of one that takes one."""
    form = await request.form()  # parsed before
    fields = {field.alias: field.field_info.annotation for field in request.scope["route"].dependant.body_params}
    faults = [("there is no such field", name) for name in form if name not in fields]
    faults += [
        (ONE_ONLY, name) for name, kind in fields.items() if len(form.getlist(name)) > 1 and not _takes_several(kind)
    ]
    if faults:
        raise RequestValidationError([{"type": "form", "loc": ("body", name), "msg": text} for text, name in faults])


def _takes_several(kind: Any) -> bool:
    return get_origin(kind) is list or any(map(_takes_several, get_args(kind)))


Served = Annotated[Service, Depends(_service)]
WholeForm = Depends(_whole_form)
Picture = Annotated[UploadFile, File(description="a picture: PNG, JPEG, WebP, GIF or BMP")]
ModelName = Annotated[str | None, Form(max_length=64, description="a model's name; without it the task's first")]
ModelVersion = Annotated[str | None, Form(max_length=64, description="a number, a label, or `latest`")]
