"""What computes a model: one module per runtime, all behind ``Network``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trigger_api.cards import WEIGHTS_FILE, ModelCard, TensorSpec
from trigger_api.inference import Runner


class Network(Protocol):
    """A model's weights in memory."""

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> Runner:
        """Make, and run once, a function for batches of this size and these input shapes.

        The shapes are without the batch axis and have no variable dimension left.
        """


def load(path: Path, card: ModelCard, *, intra_op_threads: int, inference_threads: int) -> Network:
    """Load a model folder, or a bare weights file of the "Trigger Word Detection" exercise.

    Raises:
        ValueError: the weights are not what the card says.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it takes a machine without a GPU for an error
    from trigger_api.runtimes import exercise, tensorflow  # TensorFlow takes seconds to import

    tensorflow.configure(intra_op_threads=intra_op_threads, inter_op_threads=inference_threads)
    if path.is_dir():
        return tensorflow.KerasNetwork(tensorflow.read(path / WEIGHTS_FILE), card)
    return tensorflow.KerasNetwork(exercise.rebuild(path), card)
