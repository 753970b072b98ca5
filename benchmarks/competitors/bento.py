"""BentoML: a service with a worker for each core and, for pictures, adaptive batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bentoml
import numpy as np

from competitors import workload


@bentoml.service(workers=int(workload.argument("WORKERS", "2")), traffic={"timeout": 60})
class Competitor:
    """One network, for pictures or recordings."""

    def __init__(self) -> None:
        self.network = workload.network(workload.argument("MODEL"))

    @bentoml.api(route="/image")  # type: ignore[untyped-decorator]
    def image(self, image: list[float]) -> dict[str, Any]:
        """Scores of a picture."""
        return workload.classification(self.network(workload.image(image)[None]))

    @bentoml.api(route="/audio")  # type: ignore[untyped-decorator]
    def audio(self, audio: Path) -> dict[str, Any]:
        """Whether the word is in a recording."""
        return workload.detection(self.network(np.asarray(workload.spectrogram(audio.read_bytes()))[None]))
