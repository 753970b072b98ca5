"""Scores of openWakeWord's community models: ours against those of the package openwakeword, on the same audio.

    python benchmarks/community.py --features FOLDER --recordings FOLDER... MODEL.onnx...

The package is given the audio in chunks of 80 ms, with its own front end: `melspectrogram.onnx` and
`embedding_model.onnx` of its first release, in the folder of `--features`. Recordings follow one another with some hiss
between them. The package starts with noise in its buffers; its scores do not count as long as any is left there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from trigger_api.model_card import MelFrontEnd, TensorSpec, read_card
from trigger_api.registry import BUNDLED
from trigger_api.runtimes import LoadOptions, load, openwakeword
from trigger_api.tasks.trigger.mel import Mel

RATE, STEP, CONTEXT = 16_000, 1_280, 15
START = 76 // 8 + 1 + CONTEXT + 1  # chunks whose scores the package's own noise affects
HISS_S, LONGEST_S = 0.25, 10.0

Floats = NDArray[np.float32]


def main() -> None:
    options = _options()
    chunks = audio(options.recordings, options.each)
    reference = package_scores(options.models, chunks, options.features)
    embeddings = embeddings_of(chunks)
    rows = [figures_of(path, embeddings, reference[path.stem]) for path in options.models]
    print(json.dumps({"seconds": len(chunks) * STEP / RATE, "models": rows}, indent=2))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help=".onnx files; a .tflite beside one is measured too")
    parser.add_argument("--features", type=Path, required=True, help="folder of the package's two networks")
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="folders of recordings")
    parser.add_argument("--each", type=int, default=25, help="recordings of each folder")
    return parser.parse_args()


def audio(folders: Iterable[Path], each: int) -> NDArray[np.int16]:
    """Recordings of some folders as chunks ``[n, 1280]``."""
    paths = [path for folder in folders for path in sorted(folder.rglob("*.ogg"))[:each]]
    hiss = np.random.default_rng(0).normal(0, 1e-3, (len(paths), round(HISS_S * RATE)))
    parts = [part for path, pause in zip(paths, hiss, strict=True) for part in (_samples(path), pause)]
    samples = (np.clip(np.concatenate(parts), -1, 1) * 32_767).astype(np.int16)
    return np.asarray(samples[: len(samples) // STEP * STEP].reshape(-1, STEP))


def _samples(path: Path) -> Floats:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate, RATE)[: round(LONGEST_S * RATE)])


def package_scores(models: Sequence[Path], chunks: NDArray[np.int16], features: Path) -> dict[str, Floats]:
    """The package's score after each chunk, by a file's stem."""
    from openwakeword.model import Model

    model = Model(
        wakeword_models=[str(path) for path in models],
        inference_framework="onnx",
        melspec_model_path=str(features / "melspectrogram.onnx"),
        embedding_model_path=str(features / "embedding_model.onnx"),
    )
    answers = [model.predict(chunk) for chunk in chunks]
    return {path.stem: np.array([answer[path.stem] for answer in answers], np.float32) for path in models}


def embeddings_of(chunks: NDArray[np.int16]) -> Floats:
    """Embeddings ``[1, n, 96]`` of the chunks, by the bundled backbone."""
    folder = BUNDLED / "embedding/speech-embedding/1"
    card = read_card(folder)
    mel = Mel(MelFrontEnd()).features(chunks.reshape(-1).astype(np.float32) / np.float32(32_768))
    state = np.zeros((1, *card.inputs[1].shape), np.float32)
    run = load(folder, card, LoadOptions()).compile([TensorSpec(name="mel", shape=mel.shape), card.inputs[1]], 1)
    return np.asarray(run({"mel": mel[None], "state": state})["embeddings"])


def figures_of(path: Path, embeddings: Floats, reference: Floats) -> dict[str, Any]:
    """How far our scores are from the package's, for a model's files."""
    files = [file for file in (path, path.with_suffix(".tflite")) if file.exists()]
    off = [np.abs(served_scores(file, embeddings) - reference[CONTEXT:])[START:].max() for file in files]
    heard = reference[START + CONTEXT :]
    figures = {"model": path.stem, "highest score": float(heard.max()), "detections": _rises(heard)}
    return figures | {file.suffix: float(worst) for file, worst in zip(files, off, strict=True)}


def served_scores(path: Path, embeddings: Floats) -> Floats:
    """Scores ``[n - 15]`` as the file is served."""
    run = openwakeword.load(path, threads=1).compile([TensorSpec(name="embeddings", shape=embeddings.shape[1:])], 1)
    return np.asarray(run({"embeddings": embeddings})["scores"][0])


def _rises(scores: Floats) -> int:
    above = scores >= openwakeword.THRESHOLD
    return int((above[1:] & ~above[:-1]).sum())


if __name__ == "__main__":
    main()
