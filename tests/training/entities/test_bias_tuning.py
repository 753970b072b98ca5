from collections.abc import Sequence

import keras
import numpy as np
import pytest

from trigger_api.datasets.conll import Sample
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.gazetteers import FEATURES, Gazetteers
from trigger_api.tasks.entities.tagger import SCORES, Tagger
from trigger_api.tasks.entities.wordpiece import SPECIALS, Wordpieces
from trigger_api.training.entities.bias_tuning import tune_begin_bias

VOCABULARY = (*SPECIALS, "paris", "april")
TAGGER = Tagger(LABELS, (16, 64), Wordpieces(VOCABULARY), Gazetteers({}))


def network(leads: Sequence[float]) -> keras.Model:
    """A network that sees the pieces only: ``leads`` are the logits of ``B-LOC`` by piece; that of ``O`` is 0."""
    pieces = keras.Input((None,), dtype="int32", name="pieces")
    shapes = keras.Input((None,), dtype="int32", name="shapes")
    gazetteers = keras.Input((None, FEATURES), dtype="float32", name="gazetteers")
    lead = keras.layers.Embedding(len(leads), 1, name="lead")
    scores = keras.layers.Dense(len(LABELS), name=SCORES)(lead(pieces))
    model = keras.Model({"pieces": pieces, "shapes": shapes, "gazetteers": gazetteers}, {SCORES: scores})
    lead.set_weights([np.asarray(leads, np.float32)[:, None]])
    kernel, bias = np.zeros((1, len(LABELS))), np.full(len(LABELS), -9.0)
    kernel[0, LABELS.index("B-LOC")], bias[[0, LABELS.index("B-LOC")]] = 1, 0
    model.get_layer(SCORES).set_weights([kernel, bias])
    return model


@pytest.mark.parametrize(("lead", "penalty"), [(-1.0, 0.0), (0.5, 0.6)])
def test_beginning_a_name_is_penalised_no_more_than_it_helps(lead: float, penalty: float) -> None:
    model = network([0, 0, 0, 0, 3, lead])
    before = model.get_layer(SCORES).get_weights()[1]
    assert tune_begin_bias(model, TAGGER, [Sample(("Paris", "april"), ("B-LOC", "O"))]) == penalty
    lowered = before - model.get_layer(SCORES).get_weights()[1]
    assert dict(zip(LABELS, lowered, strict=True)) == pytest.approx(
        {label: penalty if label.startswith("B-") else 0 for label in LABELS}, abs=1e-6
    )
