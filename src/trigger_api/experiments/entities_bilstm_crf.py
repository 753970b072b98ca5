"""A BiLSTM-CRF on words, letters, casing and known names, trained from scratch, to compare the encoder with.

Layers and loss follow Ma and Hovy (2016), "End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF": every word
scores each transition from label to label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from trigger_api.datasets.conll import Sample, read_conll
from trigger_api.evaluation.entities.scores import Report, compare, scorer
from trigger_api.tasks.entities.bio import LABELS, best_path, transition_scores
from trigger_api.tasks.entities.casing import WORD_SHAPES, recased_shapes, word_shape
from trigger_api.tasks.entities.gazetteers import FEATURES, Gazetteers
from trigger_api.training.entities.corpus import read_corpus, read_lists, sampling_probability
from trigger_api.training.entities.sampler import Example, Inputs, SentenceSampler, pad
from trigger_api.training.loop import Log, TrainingConfig, train

LENGTHS = (16, 32, 64, 128)
_LETTERS, _WORD = 512, 16
_SMALL = recased_shapes(upper=False)
_SMALL_LETTERS = np.asarray([min(ord(chr(code).lower()[:1]), _LETTERS - 1) for code in range(_LETTERS)], np.int32)


def measure_bilstm(*, data: Path, work: Path, config: TrainingConfig, log: Log = lambda _: None) -> Report:
    """Train on the folder ``data`` and evaluate on its dev part; ``work`` keeps what a stopped run resumes from.

    Raises:
        OSError: a file is missing.
        ValueError: a word of the corpus has no tag, or an unknown one.
    """
    corpus = read_corpus(data)
    counts = Counter(word.lower() for sample in corpus for word in sample.words)
    rows = {word: row for row, word in enumerate((word for word, count in counts.items() if count > 1), start=2)}
    gazetteers = Gazetteers(read_lists(data / "gazetteers"))
    model = build(len(rows) + 2)
    probs = [sampling_probability(sample.part) for sample in corpus]
    sampler = SentenceSampler(examples(corpus, rows, gazetteers), probs, LENGTHS, augment, config)
    dev = read_conll(data / "dev.conll.xz")
    dev_examples = examples(dev, rows, gazetteers)

    def report() -> Report:
        return compare(dev, _tag(model, dev_examples, dev))

    train(model, sampler, config, work, log=log, metrics=lambda: f"dev F1 {report().overall.f1:.2f}")
    return report()


def examples(samples: Iterable[Sample], rows: dict[str, int], gazetteers: Gazetteers) -> list[Example]:
    """Turn sentences into examples, truncated to the longest length; unknown words have row 1."""
    return [_example(sample, rows, gazetteers) for sample in samples]


def _example(sample: Sample, rows: dict[str, int], gazetteers: Gazetteers) -> Example:
    words = sample.words[: LENGTHS[-1]]
    letters = np.zeros((len(words), _WORD), np.int32)
    for index, word in enumerate(words):
        codes = [min(ord(letter), _LETTERS - 1) for letter in word[:_WORD]]
        letters[index, : len(codes)] = codes
    inputs: Inputs = {
        "words": np.asarray([rows.get(word.lower(), 1) for word in words], np.int32),
        "letters": letters,
        "shapes": np.asarray([word_shape(word, word) for word in words], np.int32),
        "gazetteers": gazetteers.match(words),
    }
    labels = np.asarray([LABELS.index(label) for label in sample.tags[: len(words)]], np.int32)
    return Example(sample.part, inputs, labels, np.ones(len(words), np.float32))


def augment(example: Example, rng: np.random.Generator) -> Example:
    """Lowercase some sentences, mask some words and some gazetteers."""
    case, gazetteers = rng.random(2)
    inputs = dict(example.inputs)
    inputs["words"] = np.where(rng.random(len(example.labels)) < 0.06, 1, inputs["words"]).astype(np.int32)
    if case < 0.2:
        inputs |= {"letters": _SMALL_LETTERS[inputs["letters"]], "shapes": _SMALL[inputs["shapes"]]}
    if gazetteers < 0.25:
        inputs["gazetteers"] = np.zeros_like(inputs["gazetteers"])
    return replace(example, inputs=inputs)


def build(vocabulary: int) -> keras.Model:
    """Build the network; ``scores (length, labels * labels)`` are those of every transition from label to label."""
    words = keras.Input((None,), dtype="int32", name="words")
    letters = keras.Input((None, _WORD), dtype="int32", name="letters")
    shapes = keras.Input((None,), dtype="int32", name="shapes")
    gazetteers = keras.Input((None, FEATURES), name="gazetteers")
    spelling = layers.Conv2D(48, (1, 3), padding="same", activation="relu")(layers.Embedding(_LETTERS, 24)(letters))
    features = [layers.Embedding(vocabulary, 100)(words), ops.max(spelling, axis=2)]
    features += [layers.Embedding(WORD_SHAPES, 16)(shapes), gazetteers]
    x = layers.Dropout(0.4)(layers.Concatenate()(features))
    x = layers.Bidirectional(layers.LSTM(200, return_sequences=True))(x)
    scores = layers.Dense(len(LABELS) ** 2, name="scores")(layers.Dropout(0.4)(x))
    inputs = {"words": words, "letters": letters, "shapes": shapes, "gazetteers": gazetteers}
    return CrfModel(inputs, {"scores": scores}, name="bilstm")


class CrfModel(keras.Model):  # type: ignore[misc]
    """A model that is trained with ``crf_loss``."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The loss of scores ``y_pred`` for labels ``y``; ``sample_weight`` is 0 on padding."""
        del x, training
        return crf_loss(y_pred["scores"], y, sample_weight)


def crf_loss(scores: tf.Tensor, labels: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """The negative log-likelihood of the labels (batch, length) a word; ``present`` is 0 on padding."""
    count = len(LABELS)
    steps = tf.reshape(scores, (*tf.unstack(tf.shape(labels)), count, count))
    before = tf.pad(labels, [[0, 0], [1, 0]])[:, :-1]
    gold = tf.gather(scores, before * count + labels, batch_dims=2)

    def extend(total: tf.Tensor, word: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        scores, there = word
        longer = tf.reduce_logsumexp(total[:, :, None] + scores, axis=1)
        return tf.where(there[:, None] > 0, longer, total)

    words = tf.transpose(steps, (1, 0, 2, 3))[1:], tf.transpose(present)[1:]
    total = tf.foldl(extend, words, steps[:, 0, 0])
    each = tf.reduce_logsumexp(total, axis=1) - tf.reduce_sum(gold * present, axis=1)
    return tf.reduce_sum(each) / tf.reduce_sum(present)


def _tag(model: keras.Model, prepared: Sequence[Example], dev: Sequence[Sample]) -> list[list[str]]:
    lengths = [next(length for length in LENGTHS if length >= len(example.labels)) for example in prepared]
    pairs = zip(prepared, lengths, strict=True)
    items = [{name: pad(array, size) for name, array in each.inputs.items()} for each, size in pairs]
    predicted = []
    for sample, output in zip(dev, scorer(model)(items), strict=True):
        steps = output["scores"].reshape(-1, len(LABELS), len(LABELS))[: len(sample.words)] + transition_scores(LABELS)
        tags = [LABELS[label] for label in best_path(steps)]
        predicted.append([*tags, *["O"] * (len(sample.words) - len(tags))])
    return predicted
