"""Recordings as speech embeddings, offline: the bundled backbone over many recordings at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.speech import Samples
from trigger_api.model_card import CONVERTED_FILE, MelFrontEnd
from trigger_api.registry import BUNDLED
from trigger_api.runtimes.speech_embedding import SILENT
from trigger_api.tasks.trigger.mel import FRAMES, Mel

FOLDER = BUNDLED / "embedding" / "speech-embedding" / "1"
STUDENT = BUNDLED / "embedding" / "speech-embedding-student" / "1"
STEP_SECONDS = 0.08
_BATCH = 8  # what is computed of so many stays in the cache

Embeddings = NDArray[np.float32]


class Embedder:
    """The backbone on one core. A state of zeros precedes every recording: silence came before.

    Args:
        folder: of the backbone, or of its student.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._mel = Mel(MelFrontEnd())
        self._folder = folder

    def clip(self, samples: Samples) -> Embeddings:
        """Embeddings ``[n, 96]`` of one recording of any length; the last step is filled with silence."""
        embeddings: Embeddings = self.mels(self._mel.features(samples)[None])[0]
        return embeddings

    def clips(self, recordings: Sequence[Samples]) -> Embeddings:
        """Embeddings ``[N, n, 96]`` of recordings of one length."""
        mels = np.stack([self._mel.features(samples) for samples in recordings])
        return np.concatenate([self.mels(mels[start : start + _BATCH]) for start in range(0, len(mels), _BATCH)])

    def mels(self, mels: NDArray[np.float32]) -> Embeddings:
        """Embeddings of mel features ``[N, 8 n, 32]``."""
        inputs = {"mel": mels, "state": np.zeros((len(mels), self._state), np.float32)}
        embeddings: Embeddings = self._session.run(None, inputs)[0]
        return embeddings

    @cached_property
    def silence(self) -> NDArray[np.float32]:
        """The embedding of silence ``[96]``."""
        embedding: NDArray[np.float32] = self.mels(np.full((1, FRAMES, MelFrontEnd().bands), SILENT, np.float32))[0, 0]
        return embedding

    @cached_property
    def _state(self) -> int:
        (state,) = (one for one in self._session.get_inputs() if one.name == "state")
        return int(state.shape[1])

    @cached_property
    def _session(self) -> Any:
        from trigger_api.runtimes.onnx_runtime import open_session

        return open_session(self._folder / CONVERTED_FILE, threads=1, arena=True)
