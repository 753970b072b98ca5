"""A head's first layer as two thin ones: reduced-rank regression on embeddings of speech.

    python -m trigger_api.training.trigger.low_rank MODEL --speech FOLDER

does it for a word that was trained before. Of all matrices of one rank the singular vectors of the layer, weighted by
the embeddings' covariance, change its outputs least.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trigger_api.datasets.speech import audio_files, readable
from trigger_api.evaluation.trigger.embedder import Embedder
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.tasks.trigger.low_rank import LowRankHead

RANK, MEMBERS = 20, 2
"""With them, no recording of "alexa", "computer" or "jarvis" that the head finds is lost."""
_RIDGE = 1e-3  # of the mean variance: directions that hardly occur are not blown up
_CLIPS = 600  # recordings that tell the covariance

Numbers = NDArray[np.float32]


def factored(network: Any, windows: Numbers, *, rank: int = RANK, members: int = MEMBERS) -> LowRankHead:
    """Some members of a serving network, with a first layer of low rank.

    Args:
        network: of ``head.serving_network``.
        windows: embeddings of speech without the word, ``[n, steps, 96]``.
        rank: of the first layer, at most.
        members: how many of them are kept, at most.
    """
    kernel, bias = network.get_layer("first").get_weights()
    width = network.get_layer("second0").get_weights()[1].size
    members = min(members, kernel.shape[-1] // width)
    kernel, bias = kernel.reshape(-1, kernel.shape[-1])[:, : members * width], bias[: members * width]
    flat = windows.reshape(len(windows), -1)
    down, up = _low_rank(kernel, np.cov(flat.T), rank)
    bias = bias + flat.mean(axis=0) @ (kernel - down @ up)  # right on average
    later = ("second", "logit")
    second, logit = ([network.get_layer(f"{name}{n}").get_weights() for n in range(members)] for name in later)
    return LowRankHead(
        down=down,
        up=up.reshape(-1, members, width).transpose(1, 0, 2),
        first_bias=bias.reshape(members, 1, width),
        second=np.stack([weights[0] for weights, _ in second]),
        second_bias=np.stack([offset[None] for _, offset in second]),
        logit=np.stack([weights[0] for weights, _ in logit]),
        logit_bias=np.mean([offset for _, offset in logit], axis=0),
    )


def _low_rank(kernel: Numbers, covariance: NDArray[np.float64], rank: int) -> tuple[Numbers, Numbers]:
    size = len(covariance)
    root = np.linalg.cholesky(covariance + _RIDGE * np.trace(covariance) / size * np.eye(size))
    left, values, right = np.linalg.svd(root.T @ kernel, full_matrices=False)
    down = np.linalg.solve(root.T, left[:, :rank] * values[:rank])
    return down.astype(np.float32), right[:rank].astype(np.float32)


def write(folder: Path, network: Any, windows: Numbers) -> None:
    """Factor a network and write the result beside its weights."""
    factored(network, windows).save(folder, read_card(folder).sha256)


def _speech(folders: list[Path], steps: int) -> Numbers:
    """Windows of some recordings."""
    files = audio_files(folders)
    clips = [readable(file) for file in files[:: max(1, len(files) // _CLIPS)]]
    embedder = Embedder()
    parts = [embedder.clip(clip) for clip in clips if clip is not None]
    views = (sliding_window_view(part, steps, axis=0).transpose(0, 2, 1) for part in parts if len(part) >= steps)
    return np.concatenate(list(views))


def main() -> None:
    """The command line."""
    import keras

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--speech", type=Path, action="append", required=True, help="folder of people who speak")
    options = parser.parse_args()
    network = keras.models.load_model(options.model / WEIGHTS_FILE, safe_mode=True)
    steps = network.get_layer("first").kernel_size[0]
    write(options.model, network, _speech(options.speech, steps))


if __name__ == "__main__":
    main()
