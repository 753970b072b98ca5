"""What routes are given: the service behind the application, and the fields that forms have in common."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, File, Form, Request, UploadFile

from trigger_api.service import Service


def service_of(request: Request) -> Service:
    """The same, for a route that computes less than the dependency would cost."""
    service: Service = request.app.state.service
    return service


async def _service(request: Request) -> Service:  # FastAPI hands a plain function to a thread
    return service_of(request)


Served = Annotated[Service, Depends(_service)]
Picture = Annotated[UploadFile, File(description="a picture: PNG, JPEG, WebP, GIF or BMP")]
ModelName = Annotated[str | None, Form(max_length=64, description="a model's name; without it the task's first")]
ModelVersion = Annotated[str | None, Form(max_length=64, description="a number, a label, or `latest`")]
