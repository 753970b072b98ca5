"""How confident the network must be to begin a name: chosen on dev, kept in the biases of its last layer.

It is trained word by word, and most words are outside names, but names are scored whole: one that is begun and then
lost or misplaced counts twice, as a false positive and as a miss. So beginning one should take a little more than even
odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from trigger_api.datasets.conll import Sample
from trigger_api.evaluation.entities.scores import compare, scorer, tag
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.tagger import SCORES, Item, Outputs, Tagger

if TYPE_CHECKING:
    import keras

_PENALTIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
# F1 hardly changes around its maximum, and a model should not be biased by more than it gains.
_TOLERANCE = 0.1
_BEGINS = np.asarray([label.startswith("B-") for label in LABELS], np.float32)


def tune_begin_bias(model: keras.Model, tagger: Tagger, samples: Sequence[Sample]) -> float:
    """Lower the biases of the labels that begin a name, by the smallest penalty whose F1 is near the best.

    Returns:
        The penalty, a logit.
    """
    scores = _f1_scores(model, tagger, samples)
    penalty = next(penalty for penalty, f1 in scores.items() if f1 >= max(scores.values()) - _TOLERANCE)
    last = model.get_layer(SCORES)
    kernel, bias = last.get_weights()
    last.set_weights([kernel, bias - penalty * _BEGINS])
    return penalty


def _f1_scores(model: keras.Model, tagger: Tagger, samples: Sequence[Sample]) -> dict[float, float]:
    """F1 by penalty; the network runs once."""
    run = scorer(model)
    outputs: list[Outputs] = []

    def score(items: Sequence[Item], penalty: float) -> list[Outputs]:
        outputs.extend(run(items) if not outputs else ())
        return [{SCORES: output[SCORES] - penalty * _BEGINS} for output in outputs]

    tags = {penalty: tag(samples, tagger, partial(score, penalty=penalty)) for penalty in _PENALTIES}
    return {penalty: compare(samples, each).overall.f1 for penalty, each in tags.items()}
