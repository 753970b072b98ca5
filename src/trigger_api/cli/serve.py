"""``trigger-api serve``: the web application under uvicorn."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from typing import Annotated

import typer

from trigger_api.cli.console import ModelPaths, abort, checked, load_settings
from trigger_api.observability import memory
from trigger_api.observability.metrics import MULTIPROC_DIR
from trigger_api.settings import ENV_PREFIX, Settings

_WORKER_TIMEOUT_S = 120  # a worker that imports TensorFlow on a busy machine is slow to answer health checks


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Number of processes; each loads all models.")] = None,
    models: ModelPaths = None,
) -> None:
    """Serve over HTTP. TRIGGER_API_* environment variables set these options and many more."""
    memory.gc_pause()
    settings = load_settings(host=host, port=port, workers=workers, models=models)
    _check(settings)
    if settings.workers == 1:
        _run(settings)
        return
    with tempfile.TemporaryDirectory(prefix="trigger-api-") as folder:
        os.environ[MULTIPROC_DIR] = folder
        _run(settings)


def _check(settings: Settings) -> None:
    """Report here what a worker could only report in a traceback."""
    from trigger_api.server.auth import is_loopback  # FastAPI is slow to import
    from trigger_api.service import check_runtimes, find_models

    if settings.auth == "token" and not settings.tokens and not is_loopback([settings.host]):
        abort(
            f"refusing to listen on {settings.host} without a token: set {ENV_PREFIX}TOKENS, "
            f"{ENV_PREFIX}AUTH=required to serve whoever has an account, or {ENV_PREFIX}AUTH=open to serve everybody"
        )
    if settings.wyoming_uri and settings.auth == "required":
        abort(f"{ENV_PREFIX}WYOMING_URI cannot be used with {ENV_PREFIX}AUTH=required: Wyoming has no tokens")
    if settings.wyoming_uri and settings.workers > 1:
        abort(f"{ENV_PREFIX}WYOMING_URI requires a single worker; run `trigger-api wyoming` beside several")
    if settings.wyoming_uri:
        import_module("trigger_api.streaming.wyoming")
    if settings.grpc_port is not None:
        import_module("trigger_api.rpc.server")
    if settings.otlp_url:
        import_module("trigger_api.observability.traces")
    if settings.postgresql_url:
        import_module("trigger_api.streaming.postgres")
    if settings.rate_limit_url.get_secret_value().startswith("redis"):
        import_module("redis")
    checked(find_models, settings)
    checked(check_runtimes, settings)


def _run(settings: Settings) -> None:
    import uvicorn

    from trigger_api.server.uvicorn_http import BoundedHttp
    from trigger_api.server.uvicorn_websocket import QuietWebSocket

    _export(settings)
    uvicorn.run(
        "trigger_api.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http=BoundedHttp,
        ws=QuietWebSocket,
        ws_max_size=settings.stream_frame_bytes,
        ws_per_message_deflate=False,  # audio hardly shrinks, and the dictionaries would take most of a stream's memory
        root_path=settings.root_path,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.drain_s,
        timeout_worker_healthcheck=_WORKER_TIMEOUT_S,
    )


def _export(settings: Settings) -> None:
    """Put the command's options into the environment, from which worker processes read their settings."""
    for name in ("host", "port", "workers"):
        os.environ[f"{ENV_PREFIX}{name.upper()}"] = str(getattr(settings, name))
    if settings.models:
        os.environ[f"{ENV_PREFIX}MODELS"] = os.pathsep.join(map(str, settings.models))
