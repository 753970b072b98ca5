"""What the service counts, in Prometheus form.

With several worker processes the counts live in files that all of them share (``PROMETHEUS_MULTIPROC_DIR``), so that
a scrape answered by any worker tells the sum over all.
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
    """One application's counters, in a registry of their own."""

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
            "trigger_api_queue_seconds", "Seconds waited for a batch.", ("model",), buckets=_SECONDS, registry=registry
        )
        self.inference_seconds = Histogram(
            "trigger_api_inference_seconds",
            "Seconds a batch took.",
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
            "trigger_api_stream_detections", "Words heard in live streams.", ("model",), registry=registry
        )

    def render(self) -> bytes:
        """The exposition text, of every worker where there are several."""
        if MULTIPROC_DIR not in os.environ:
            return generate_latest(self.registry)
        _bury_dead_workers()
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def close(self) -> None:
        """Let this worker's gauges fall: what it was doing, it does no more."""
        if MULTIPROC_DIR in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def _bury_dead_workers() -> None:
    """A worker that was killed could not let its gauges fall: what it was doing, it does no more."""
    for path in Path(os.environ[MULTIPROC_DIR]).glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _lives(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
