"""Traces: a span for each request and for its parts, exported by OpenTelemetry. Needs the extra ``otel``.

Nothing imports this module where traces are off. FastAPI itself makes the spans of requests over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakSet

from fastapi.telemetry import TelemetryConfig
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue
from structlog.typing import EventDict, WrappedLogger

from trigger_api import __version__

_PATH = "/v1/traces"
_GRPC = {"rpc.system.name": "grpc"}


class Traces:
    """The spans of one application.

    Args:
        processor: gets each span that has ended. OpenTelemetry's own environment variables choose samples.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({SERVICE_NAME: "trigger_api", SERVICE_VERSION: __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("trigger_api", __version__)
        self._inferred: WeakSet[Span] = WeakSet()
        self.of_requests: TelemetryConfig = {
            "tracer_provider": self._provider, "metrics": False, "logs": False, "operation_spans": False,
            "auto_configure": False,
        }  # fmt: skip
        """What has FastAPI trace requests, and nothing else of what it could tell."""

    @contextmanager
    def call(self, method: str, metadata: Mapping[str, str]) -> Iterator[None]:
        """A span for a call over gRPC, which continues the trace that its ``traceparent`` names."""
        attributes: dict[str, AttributeValue] = {**_GRPC, "rpc.method": method}
        parent = propagate.extract(metadata)
        with self._tracer.start_as_current_span(method, parent, SpanKind.SERVER, attributes):
            yield

    @staticmethod
    def end_call(status: int) -> None:
        """Say how the current call ended, as over HTTP; an error of the server makes its span one."""
        span = trace.get_current_span()
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(StatusCode.ERROR)

    @property
    def active(self) -> bool:
        """Whether a request that is a sample is being answered."""
        return trace.get_current_span().is_recording()

    @contextmanager
    def preprocessing(self, work: str) -> Iterator[None]:
        """A span for what is done with an input before the first inference, or with the outputs after it."""
        name = "postprocess" if trace.get_current_span() in self._inferred else "decode"
        with self._tracer.start_as_current_span(name, attributes={"code.function.name": work}):
            yield

    def inference(self, model: str, size: int, *, queued: float, started: float, ended: float) -> None:
        """Spans for one batch, from the moment when its items were queued; all in monotonic seconds.

        Args:
            model: the label of the queue.
            size: items of the batch, also those of other requests.
            queued: when the items of this request were queued.
            started: when the batch was taken.
            ended: when it had been computed.
        """
        self._inferred.add(trace.get_current_span())
        self._record("queue", queued, started, {"model": model})
        self._record("inference", started, ended, {"model": model, "batch_size": size})

    def close(self) -> None:
        """Export what has not been exported yet."""
        self._provider.shutdown()

    @staticmethod
    def name_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Add the ids of the current trace and span to a line of the log; a processor of structlog."""
        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return event
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}", **event}

    def _record(self, name: str, started: float, ended: float, attributes: Mapping[str, AttributeValue]) -> None:
        offset = time.time_ns() - time.monotonic_ns()
        span = self._tracer.start_span(name, attributes=attributes, start_time=offset + round(started * 1e9))
        span.end(offset + round(ended * 1e9))


def exporting_to(url: str) -> Traces:
    """Traces that are sent to a collector, in the background.

    Args:
        url: of the collector, which takes OTLP over HTTP, such as ``http://127.0.0.1:4318``.
    """
    return Traces(BatchSpanProcessor(OTLPSpanExporter(url.rstrip("/") + _PATH)))
