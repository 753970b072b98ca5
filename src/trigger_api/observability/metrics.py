"""Prometheus metrics.

Several worker processes keep their metrics in shared files (``PROMETHEUS_MULTIPROC_DIR``), so that a scrape of any
worker returns the sums over all of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MULTIPROC_DIR = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "trigger_api_"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory and open files; of several workers, nobody collects them
        self.requests = self._counter("requests", "Requests answered.", "method", "route", "status")
        self.seconds = self._histogram("request_seconds", "Seconds from request to answer.", "route")
        self.in_flight = self._gauge("requests_in_flight", "Requests being answered.")
        self.batch_size = self._histogram("batch_size", "Items in a batch.", "model", buckets=_SIZES)
        self.queue_seconds = self._histogram("queue_seconds", "Seconds that items waited for a batch.", "model")
        self.inference_seconds = self._histogram("inference_seconds", "Seconds that a batch took to compute.", "model")
        self.dropped = self._counter(
            "dropped", "Items not computed: shed, cancelled, expired or failed.", "model", "reason"
        )
        self.streams = self._gauge("streams", "Live streams open.")
        self.detections = self._counter("stream_detections", "Words detected in live streams.", "model")

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

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}{name}", description, labels, registry=self.registry)

    def _histogram(self, name: str, description: str, *labels: str, buckets: Sequence[float] = _SECONDS) -> Histogram:
        return Histogram(f"{_PREFIX}{name}", description, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(f"{_PREFIX}{name}", description, registry=self.registry, multiprocess_mode="livesum")


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
