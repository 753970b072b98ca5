from itertools import product
from pathlib import Path

import numpy as np
import pytest

from trigger_api.datasets.conll import Sample
from trigger_api.experiments.entities_bilstm_crf import LENGTHS, augment, build, crf_loss, examples
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.casing import word_shape
from trigger_api.tasks.entities.gazetteers import Gazetteers
from trigger_api.training.entities.sampler import Example, SentenceSampler
from trigger_api.training.loop import TrainingConfig, train

pytestmark = pytest.mark.slow

COUNT = len(LABELS)


def example(words: int = 2) -> Example:
    sample = Sample(("Paris", "sleeps", *["on"] * (words - 2)), ("B-LOC", *["O"] * (words - 1)))
    return examples([sample], {"paris": 2}, Gazetteers({"paris": "c"}))[0]


def test_the_loss_is_that_of_all_paths() -> None:
    scores = np.random.default_rng(0).normal(0, 1, (1, 4, COUNT * COUNT)).astype(np.float32)
    labels, present = np.asarray([[1, 2, 0, 0]], np.int32), np.asarray([[1, 1, 1, 0]], np.float32)
    steps = scores.reshape(4, COUNT, COUNT)

    def total(path: tuple[int, ...]) -> float:
        return float(sum(steps[i, before, after] for i, (before, after) in enumerate(zip((0, *path), path))))  # noqa: B905

    every = np.logaddexp.reduce([total(path) for path in product(range(COUNT), repeat=3)])
    assert float(crf_loss(scores, labels, present)) == pytest.approx((every - total((1, 2, 0))) / 3, rel=1e-4)


def test_an_example_spells_its_words() -> None:
    made = example()
    assert made.inputs["words"].tolist() == [2, 1]
    assert "".join(map(chr, made.inputs["letters"][0, :5])) == "Paris"
    assert made.inputs["shapes"][0] == word_shape("Paris", "Paris")
    assert len(example(300).labels) == LENGTHS[-1]


def test_augmentation_lowercases_some_sentences() -> None:
    random = np.random.default_rng(0)
    spelt = {"".join(map(chr, augment(example(), random).inputs["letters"][0, :5])) for _ in range(40)}
    assert spelt == {"Paris", "paris"}


def test_the_network_scores_every_transition() -> None:
    inputs = {name: array[None] for name, array in example().inputs.items()}
    assert build(3)(inputs)["scores"].shape == (1, 2, COUNT * COUNT)


def test_it_can_be_trained(tmp_path: Path) -> None:
    config = TrainingConfig(batch_size=256, epochs=3, learning_rate=0.01)
    sampler = SentenceSampler([example(3)] * 24 + [example(20)] * 12, [1] * 36, LENGTHS, augment, config)
    lines: list[str] = []
    train(build(3), sampler, config, tmp_path, log=lines.append)
    losses = [float(line.rpartition(" ")[2]) for line in lines]
    assert losses[-1] < 0.5 * losses[0]
