"""The upper bound: the same work with nothing served. Each process prepares inputs and computes batches for a while.

Prints how many inputs per second all processes together got through.
"""

from __future__ import annotations

import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from pydantic_core import from_json

from competitors import workload

_AUDIO_BATCH, _IMAGE_BATCH = 1, 32


def inputs_done(kind: str, model: str, body: bytes, seconds: float) -> int:
    """How many inputs one process gets through."""
    network, done = workload.network(model), 0
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        if kind == "audio":
            batch = [workload.spectrogram(body) for _ in range(_AUDIO_BATCH)]
        else:
            batch = [workload.image(from_json(body)["image"]) for _ in range(_IMAGE_BATCH)]
        network(np.stack(batch))
        done += len(batch)
    return done


def main() -> None:
    kind, model, body, seconds, processes = sys.argv[1:]
    job = (kind, model, Path(body).read_bytes(), float(seconds))
    with get_context("spawn").Pool(int(processes)) as pool:
        pool.starmap(inputs_done, [(*job[:3], 0.2)] * int(processes))  # starting up does not count
        print(sum(pool.starmap(inputs_done, [job] * int(processes), chunksize=1)) / float(seconds))


if __name__ == "__main__":
    main()
