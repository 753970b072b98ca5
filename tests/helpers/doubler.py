"""A model that doubles, on the queues of a scheduler."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from trigger_api.model_card import Limits, TensorSpec
from trigger_api.observability.metrics import Metrics
from trigger_api.scheduler import BatchQueue, Scheduler, Tensors

FAR = 60.0
SPEC = TensorSpec(name="x", shape=(2,))


class Doubler:
    """A runner that doubles, can be held at a gate, and fails on a poisoned item."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.sizes: list[int] = []
        self.items: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.seconds = seconds

    def __call__(self, tensors: Tensors) -> Tensors:
        self.entered.set()
        assert self.gate.wait(10)
        time.sleep(self.seconds)
        x = tensors["x"]
        self.sizes.append(len(x))
        self.items.append(int((x[:, 0] != 0).sum()))
        if np.isnan(x).any():
            raise ArithmeticError("poisoned")
        return {"y": x * 2}


def make_queue(doubler: Doubler, *, name: str = "model", metrics: Metrics | None = None, **limits: Any) -> BatchQueue:
    limited = Limits(**{"batch_sizes": (1, 2, 4), **limits})
    return BatchQueue(name, [SPEC], dict.fromkeys(limited.batch_sizes, doubler), limited, metrics or Metrics())


def items(values: Sequence[float]) -> list[Tensors]:
    return [{"x": np.full(2, value, np.float32)} for value in values]


def deadline(seconds: float = FAR) -> float:
    return time.monotonic() + seconds


def held(scheduler: Scheduler, queue: BatchQueue, doubler: Doubler) -> Future[Tensors]:
    """Occupy the only worker with one item."""
    doubler.gate.clear()
    doubler.entered.clear()
    (first,) = scheduler.submit(queue, items([99]), deadline())
    assert doubler.entered.wait(5)
    return first


def counted(metrics: Metrics, reason: str, model: str = "model") -> float:
    return metrics.registry.get_sample_value("trigger_api_dropped_total", {"model": model, "reason": reason}) or 0.0
