"""The recipe for digits: MNIST's training set, augmented anew in every epoch, and much that is not a digit.

The last 5 000 training digits are held out for choices; no test set is read. A run that was stopped resumes from what
it kept in ``work``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from trigger_api.datasets.mnist import read_images, read_labels
from trigger_api.model_card import WEIGHTS_FILE, DataSource, Decision, Limits, ModelCard, TensorSpec
from trigger_api.tasks.digits.mnist import SIDE
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.digits.augmentation import Augmentation
from trigger_api.training.digits.negatives import make_negatives, synthetic_printed_digits
from trigger_api.training.digits.network import ModelConfig, build
from trigger_api.training.dtype_policy import dtype_policy
from trigger_api.training.loop import BatchSampler, Log, TrainingConfig, train

LABELS = (*"0123456789", "none")
NONE = LABELS.index("none")
CONFIG = TrainingConfig(batch_size=128, epochs=12, learning_rate=2e-3, weight_decay=0.02, ema=0.998)
_SOURCES = (
    DataSource(
        name="MNIST training digits (Yann LeCun, Corinna Cortes)",
        licence="commonly given as CC BY-SA 3.0",
        note="the last 5 000 were held out for choices",
    ),
    DataSource(
        name="fonts of matplotlib: DejaVu, STIX, Computer Modern",
        licence="Bitstream Vera, SIL OFL 1.1 and Knuth's: free to use",
        note="printed digits, and letters and symbols as negatives",
    ),
)
_LABEL_SMOOTHING = 0.03
_EVALUATION_BATCH = 1_000
_OTHERS = 0.16  # negatives and printed digits in a batch, for each handwritten digit


@dataclass(frozen=True)
class Dataset:
    """Images uint8 ``(n, 28, 28)`` and their labels: handwritten digits; negatives and printed digits."""

    digits: NDArray[np.uint8]
    labels: NDArray[np.int64]
    others: NDArray[np.uint8]
    other_labels: NDArray[np.int64]


class DigitSampler(BatchSampler):
    """Every handwritten digit once an epoch, and in each batch some of the other images."""

    def __init__(self, dataset: Dataset, config: TrainingConfig) -> None:
        super().__init__(config, len(dataset.labels))
        self._dataset = dataset
        self._augment = Augmentation()

    def batch(self, members: Sequence[int], step: int) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        """Make one batch: ``digits (n, 28, 28, 1)`` and one-hot labels ``(n, 11)``."""
        rng = np.random.default_rng((step, 1))
        dataset = self._dataset
        others = rng.integers(len(dataset.others), size=round(self._size * _OTHERS))
        images = np.concatenate([dataset.digits[list(members)], dataset.others[others]])
        labels = np.concatenate([dataset.labels[list(members)], dataset.other_labels[others]])
        augmented = self._augment(np.asarray(images / 255, np.float32), rng)
        return {"digits": augmented[..., None]}, np.eye(len(LABELS), dtype=np.float32)[labels]


def train_digits(
    *,
    images: Path,
    labels: Path,
    output: Path,
    work: Path,
    start: Path | None = None,
    held_out: int = 5_000,
    negatives: int = 10_000,
    model_config: ModelConfig | None = None,
    config: TrainingConfig = CONFIG,
    precision: str = "mixed_bfloat16",
    log: Log = lambda _: None,
) -> ModelCard:
    """Train a model folder.

    Args:
        images: handwritten digits, idx, idx.gz or npz.
        labels: their labels.
        output: the model folder, ending in ``<name>/<version>``.
        work: keeps what a stopped run resumes from.
        start: model folder to fine-tune.
        held_out: how many of the last digits are only measured on.
        negatives: how many images that are not digits to draw.
        model_config: of the network.
        config: how long and how fast to train.
        precision: Keras's dtype policy while training.
        log: is given a line of progress at a time.

    Raises:
        OSError: a file is missing or cannot be written.
        ValueError: the files do not hold labelled digits of 28 x 28 pixels.
    """
    pixels, truth = _read(images, labels)
    log(f"drawing {negatives} negatives")
    dataset = _dataset(pixels[:-held_out], truth[:-held_out], negatives, seed=0)
    validation = _dataset(pixels[-held_out:], truth[-held_out:], max(8, negatives // 8), seed=1)
    model_config = model_config or ModelConfig()
    with dtype_policy(precision):
        model = build(len(LABELS), model_config, probabilities=False)
    if start:
        model.set_weights(keras.models.load_model(start / WEIGHTS_FILE, compile=False).get_weights())
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=_LABEL_SMOOTHING)
    sampler = DigitSampler(dataset, config)
    train(model, sampler, config, work, loss=loss, log=log, metrics=lambda: _metrics(model, validation))
    log(f"in the end: {_metrics(model, validation)}")
    final = build(len(LABELS), model_config, probabilities=True)
    final.set_weights(model.get_weights())
    return save_model_folder(final, output, _card(output))


def _read(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    pixels, truth = read_images(images), read_labels(labels)
    if pixels.shape != (len(truth), SIDE, SIDE):
        raise ValueError(f"{images.name} and {labels.name} are not digits of {SIDE} x {SIDE} pixels and their labels")
    return pixels, truth


def _dataset(pixels: NDArray[np.uint8], labels: NDArray[np.int64], count: int, seed: int) -> Dataset:
    """Digits, so many negatives, and one printed digit for every seven of these."""
    negatives = make_negatives(count, pixels, labels, seed)
    printed, printed_labels = synthetic_printed_digits(max(1, count // 7), seed)
    other_labels = np.concatenate([np.full(len(negatives), NONE), printed_labels])
    return Dataset(pixels, labels, np.concatenate([negatives, printed]), other_labels)


def _metrics(model: keras.Model, validation: Dataset) -> str:
    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
        digits = np.asarray(pixels[..., None] / 255, np.float32)
        scores: NDArray[np.float32] = model.predict({"digits": digits}, _EVALUATION_BATCH, verbose=0)["scores"]
        return np.asarray(scores.argmax(axis=1))

    wrong = np.mean(predict(validation.digits) != validation.labels)
    false = np.mean(predict(validation.others[validation.other_labels == NONE]) != NONE)
    return f"held out: {wrong:.2%} of digits wrong, {false:.2%} of negatives taken for digits"


def _card(output: Path) -> ModelCard:
    return ModelCard(
        task="digits",
        name=output.parent.name,
        version=output.name,
        description="Handwritten digits, and what is not a digit, one 28 x 28 image at a time.",
        labels=LABELS,
        inputs=(TensorSpec(name="digits", shape=(SIDE, SIDE, 1)),),
        outputs=(TensorSpec(name="scores", shape=(len(LABELS),)),),
        decision=Decision(threshold=0.5),
        limits=Limits(batch_sizes=(1, 2, 4, 8, 16, 32, 64), queue=4_096),  # a photo may hold hundreds of components
        training_data=_SOURCES,
        training_command="trigger-api train digits --images IMAGES --labels LABELS --out OUTPUT/mnist/1 --work WORK",
    )
