"""The application: lifespan, middleware, routers. Nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from trigger_api import __version__
from trigger_api.observability import logs, memory
from trigger_api.observability.metrics import Metrics
from trigger_api.registry import Loader
from trigger_api.routers import (
    accounts,
    compat,
    digits,
    emotions,
    entities,
    history,
    jobs,
    models,
    objects,
    pages,
    streaming,
    system,
    training,
    trigger,
    v2,
    v2_codec,
    v2_extensions,
)
from trigger_api.routers.answers import trigger_answer
from trigger_api.routers.direct import DirectRoutes
from trigger_api.schemas import Problem
from trigger_api.server import problems
from trigger_api.server.auth import SCHEMES, Authenticated
from trigger_api.server.charset import Charset
from trigger_api.server.decompression import Decompression
from trigger_api.server.middleware import AuthMiddleware, BodyLimit, BodyRules, Disconnect, RequestLog
from trigger_api.server.request_body import RequestBodies
from trigger_api.server.shutdown import on_termination
from trigger_api.service import Service
from trigger_api.settings import Settings

if TYPE_CHECKING:
    from trigger_api.observability.traces import Traces

_TAGS = (
    "trigger",
    "rooms",
    "digits",
    "emotions",
    "objects",
    "entities",
    "models",
    "training",
    "open inference protocol",
    "jobs",
    "history",
    "accounts",
    "system",
)
# Routes are matched in this order: first those of models that may be cheaper than the matching.
_ROUTERS = (
    v2, system, trigger, digits, emotions, objects, entities, compat, models, streaming, accounts, history, jobs,
    training, pages, v2_extensions,
)  # fmt: skip
DESCRIPTION = "Keras models behind typed answers: trigger words, digits, emotions, objects and named entities."


def create_app(settings: Settings | None = None, *, loader: Loader | None = None) -> FastAPI:
    """Build the application.

    Args:
        settings: the settings; read from the environment if not given.
        loader: loads a model's weights; by default chosen by the settings.
    """
    settings = settings or Settings()
    metrics = Metrics()
    traces = _traces(settings)
    app = FastAPI(
        title="trigger_api",
        version=__version__,
        description=DESCRIPTION,
        lifespan=partial(_lifespan, settings=settings, metrics=metrics, loader=loader, traces=traces),
        telemetry=traces.of_requests if traces else {"tracing": False, "metrics": False, "logs": False},
        dependencies=[Authenticated],
        openapi_tags=[{"name": tag} for tag in _TAGS],
        responses={"default": {"model": Problem, "description": "The request failed."}},
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,  # a redirect would make clients send a large upload twice
        openapi_url=None,  # served by the system router, behind the same authentication as everything else
    )
    app.state.settings = settings
    app.state.request_bodies = RequestBodies(settings.body_timeout_s)
    app.state.job_bodies = RequestBodies(settings.job_timeout_s)
    app.openapi = partial(_openapi, app.openapi)  # type: ignore[method-assign]
    problems.install(app)
    _add_middleware(app, settings, metrics)
    for module in _ROUTERS:
        app.include_router(module.router)
    return app


def __getattr__(name: str) -> FastAPI:
    """``app``, for servers that want one, as in ``uvicorn trigger_api.app:app``; made when it is asked for."""
    if name != "app":
        raise AttributeError(name)
    return create_app()


@asynccontextmanager
async def _lifespan(
    app: FastAPI, *, settings: Settings, metrics: Metrics, loader: Loader | None, traces: Traces | None
) -> AsyncIterator[None]:
    logs.configure(settings.log_level, *([traces.name_trace] if traces else []))
    memory.limit_malloc_arenas()
    service = app.state.service = Service(settings, metrics, loader, traces)
    # In a thread, so that the process answers health checks while it loads, or at least handles signals.
    loading = asyncio.create_task(asyncio.to_thread(service.load))
    await service.rooms.start()
    try:
        await service.open_database()
        service.run_jobs(trigger_answer)
        app.state.accounts = service.accounts if settings.has_database else None
        with ExitStack() as stack:
            for each in (service, app.state.request_bodies, app.state.job_bodies):
                stack.enter_context(on_termination(each.begin_shutdown))
            async with _wyoming(service), _grpc(app), memory.periodic_trim():
                if settings.listen_when_ready:
                    await asyncio.to_thread(service.loaded.wait)
                yield
    finally:
        await service.close()
        if hasattr(app.state, "limiter"):
            await app.state.limiter.close()
        await loading
        metrics.close()
        if traces:
            await asyncio.to_thread(traces.close)


def _traces(settings: Settings) -> Traces | None:
    if settings.otlp_url is None:
        return None
    from trigger_api.observability import traces  # needs an extra

    return traces.exporting_to(settings.otlp_url)


@asynccontextmanager
async def _wyoming(service: Service) -> AsyncIterator[None]:
    if service.settings.wyoming_uri is None:
        yield
        return
    from trigger_api.streaming import wyoming  # needs an extra

    async with wyoming.serving(service.settings.wyoming_uri, service.rooms, service.settings):
        yield


@asynccontextmanager
async def _grpc(app: FastAPI) -> AsyncIterator[None]:
    port = app.state.settings.grpc_port
    if port is None:
        yield
        return
    from trigger_api.rpc import server  # needs an extra

    async with server.serving(app, port) as app.state.grpc_port:
        yield


def _add_middleware(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Add the middleware, from the innermost to the outermost."""
    app.add_middleware(DirectRoutes, routes=v2.DIRECT)
    app.add_middleware(Charset)
    app.add_middleware(Decompression, limit=settings.max_body_bytes)
    app.add_middleware(Disconnect)
    longer = {jobs.PATH: BodyRules(settings.max_job_bytes + jobs.FORM_BYTES, app.state.job_bodies)}
    app.add_middleware(BodyLimit, rules=BodyRules(settings.max_body_bytes, app.state.request_bodies), others=longer)
    if settings.rate_limit or settings.max_requests_per_caller:
        from trigger_api.accounts.limits import RateLimiter  # slow to import
        from trigger_api.server.limits import Allowance, CallerLimits

        app.state.limiter = RateLimiter(settings.rate_limit_url.get_secret_value())
        app.state.allowance = Allowance(settings, app.state.limiter)
        app.add_middleware(CallerLimits, allowance=app.state.allowance)
    app.add_middleware(AuthMiddleware, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"],
        )
    app.add_middleware(RequestLog, metrics=metrics)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(generate: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI document, with the security schemes, and with the true media type of problem responses."""
    document = generate()
    document["components"]["securitySchemes"] = SCHEMES
    document["components"]["schemas"] |= v2_codec.schemas()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            default = operation["responses"]["default"]
            operation["security"] = [{name: []} for name in SCHEMES]
            default["content"] = {problems.error_type(path): next(iter(default["content"].values()))}
    return document
