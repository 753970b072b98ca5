"""How long a lone text takes, from its characters to its entities."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from trigger_api.evaluation.serving import serving
from trigger_api.tasks.entities.task import Entities

SENTENCE = "Mr. Smith left the U.S. Army in May and moved to Paris, where he works for the French newspaper Le Monde."


def time_entities(model: Path, text: str = SENTENCE, rounds: int = 300) -> dict[str, float]:
    """Time one request after the other to a model folder, in milliseconds: the median and the 95th percentile.

    Raises:
        OSError: a file of the model cannot be read.
        ValueError: the model cannot be loaded.
    """
    took = []
    with serving(model, batch=1) as served:
        for _ in range(rounds):
            began = time.perf_counter()
            served.predict(Entities, [text])
            took.append(1000 * (time.perf_counter() - began))
    # The first rounds warm the caches.
    median, slow = np.percentile(took[rounds // 10 :], [50, 95])
    return {"p50_ms": round(float(median), 2), "p95_ms": round(float(slow), 2)}
