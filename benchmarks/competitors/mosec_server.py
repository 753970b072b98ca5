"""mosec: HTTP in Rust, worker processes in Python; as in its quick start, or with batches.

Its options are on the command line, from which it reads them itself.
"""

from __future__ import annotations

from typing import Any

import mosec
import numpy as np

from competitors import workload

BATCH = int(workload.argument("BATCH", "1"))


class Image(mosec.Worker):  # type: ignore[misc]
    """One network, for pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.network = workload.network(workload.argument("MODEL"))

    def forward(self, data: Any) -> Any:
        """The answer to one body, or those to a batch."""
        if BATCH == 1:
            return workload.classification(self.network(workload.image(data["image"])[None]))
        batch = np.stack([workload.image(body["image"]) for body in data])
        return [workload.classification(scores) for scores in self.network(batch)]


if __name__ == "__main__":
    workers, wait_ms = int(workload.argument("WORKERS", "1")), 1000 * float(workload.argument("WAIT", "0"))
    server = mosec.Server()
    server.append_worker(Image, num=workers, max_batch_size=BATCH, max_wait_time=round(wait_ms), route="/image")
    server.run()
