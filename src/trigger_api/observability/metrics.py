"""Prometheus metrics.

Several worker processes keep their metrics in shared files (``PROMETHEUS_MULTIPROC_DIR``), so that a scrape of any
worker returns the sums over all of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "trigger_api_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "trigger_api_request_seconds",
            "Seconds from request to answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "trigger_api_requests_in_flight",
            "Requests being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.batch_size = Histogram(
            "trigger_api_batch_size", "Items in a batch.", ("model",), buckets=_SIZES, registry=registry
        )
        self.queue_seconds = Histogram(
            "trigger_api_queue_seconds",
            "Seconds that items waited.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.inference_seconds = Histogram(
            "trigger_api_inference_seconds",
            "Seconds that a batch took to compute.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.dropped = Counter(
            "trigger_api_dropped",
            "Items not computed: shed, cancelled, expired or failed.",
            ("model", "reason"),
            registry=registry,
        )
        self.streams = Gauge(
            "trigger_api_streams", "Live streams open.", registry=registry, multiprocess_mode="livesum"
        )
        self.detections = Counter(
            "trigger_api_stream_detections", "Words detected in live streams.", ("model",), registry=registry
        )

    def render(self) -> bytes:
        """The metrics of all workers in Prometheus's text format."""
        if MULTIPROC_DIR not in os.environ:
            return generate_latest(self.registry)
        _clear_dead_workers()
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def close(self) -> None:
        """Remove this worker's gauges."""
        if MULTIPROC_DIR in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def _clear_dead_workers() -> None:
    """Remove the gauges of workers that were killed and could not do so themselves."""
    for path in Path(os.environ[MULTIPROC_DIR]).glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
