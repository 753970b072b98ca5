"""What routes are given: the service behind the application."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from trigger_api.service import Service


async def _service(request: Request) -> Service:  # FastAPI hands a plain function to a thread
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
