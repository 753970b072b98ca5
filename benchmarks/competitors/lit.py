"""LitServe: as in its quick start, or with batches and a single-threaded worker for each core."""

from typing import Any

import litserve
import numpy as np
from fastapi import Request

from competitors import workload

AUDIO = workload.argument("INPUT") == "audio"


class Api(litserve.LitAPI):  # type: ignore[misc]
    """One network, for pictures or recordings."""

    def setup(self, device: str) -> None:
        """Load it."""
        self.network = workload.network(workload.argument("MODEL"), int(workload.argument("THREADS", "0")))

    def decode_request(self, request: Request) -> Any:  # the annotation chooses how bodies are read
        """The network's input."""
        return workload.spectrogram(request["audio"].file.read()) if AUDIO else workload.image(request["image"])

    def predict(self, x: Any) -> Any:
        """One input, or a batch."""
        return self.network(x if self.max_batch_size > 1 else x[None])

    def encode_response(self, output: Any) -> Any:
        """The response."""
        return workload.detection(np.asarray(output)) if AUDIO else workload.classification(np.asarray(output))


if __name__ == "__main__":
    api = Api(
        max_batch_size=int(workload.argument("BATCH", "1")),
        batch_timeout=float(workload.argument("WAIT", "0")),
        api_path=f"/{workload.argument('INPUT')}",
    )
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(workload.argument("WORKERS", "1")))
    server.run(port=int(workload.argument("PORT")), log_level="warning", generate_client_file=False)
