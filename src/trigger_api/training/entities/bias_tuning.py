"""How sure the network must be before it begins a name: chosen on dev, kept in the biases of its last layer.

It learns words one by one, of which most are in no name, but names count whole: one that is begun and then lost or
misplaced counts twice, as made up and as missed. So a little more than even odds should speak for a beginning.
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

_COSTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4)
# F1 hardly moves around its best, and a model should lean no more to one side than it gains by.
_NEAR = 0.1
_BEGINS = np.asarray([label.startswith("B-") for label in LABELS], np.float32)


def grow_cautious(network: keras.Model, tagger: Tagger, samples: Sequence[Sample]) -> float:
    """Lower the biases of the labels that begin a name, by the least whose F1 on samples is near the best.

    Returns:
        by how much.
    """
    found = _figures(network, tagger, samples)
    cost = next(cost for cost, figure in found.items() if figure >= max(found.values()) - _NEAR)
    last = network.get_layer(SCORES)
    kernel, bias = last.get_weights()
    last.set_weights([kernel, bias - cost * _BEGINS])
    return cost


def _figures(network: keras.Model, tagger: Tagger, samples: Sequence[Sample]) -> dict[float, float]:
    """F1 by what a beginning costs."""
    run = scorer(network)
    known: list[Outputs] = []

    def score(items: Sequence[Item], cost: float) -> list[Outputs]:
        known.extend(run(items) if not known else ())
        return [{SCORES: output[SCORES] - cost * _BEGINS} for output in known]

    answers = {cost: tag(samples, tagger, partial(score, cost=cost)) for cost in _COSTS}
    return {cost: compare(samples, tags).overall.f1 for cost, tags in answers.items()}
