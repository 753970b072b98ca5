"""LitServe: as its page begins, or with batches and a worker of one thread for each core."""

from typing import Any

import litserve
import numpy as np
from fastapi import Request

from peers import work

AUDIO = work.argument("INPUT") == "audio"


class Api(litserve.LitAPI):  # type: ignore[misc]
    """One network, for pictures or recordings."""

    def setup(self, device: str) -> None:
        """Load it."""
        self.network = work.network(work.argument("MODEL"), int(work.argument("THREADS", "0")))

    def decode_request(self, request: Request) -> Any:  # the annotation chooses how bodies are read
        """What the network takes."""
        return work.spectrogram(request["audio"].file.read()) if AUDIO else work.image(request["image"])

    def predict(self, x: Any) -> Any:
        """One input, or a batch."""
        return self.network(x if self.max_batch_size > 1 else x[None])

    def encode_response(self, output: Any) -> Any:
        """What the client gets."""
        return work.heard(np.asarray(output)) if AUDIO else work.digits(np.asarray(output))


if __name__ == "__main__":
    api = Api(
        max_batch_size=int(work.argument("BATCH", "1")),
        batch_timeout=float(work.argument("WAIT", "0")),
        api_path=f"/{work.argument('INPUT')}",
    )
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(work.argument("WORKERS", "1")))
    server.run(port=int(work.argument("PORT")), log_level="warning", generate_client_file=False)
