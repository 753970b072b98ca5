"""How long one text takes, from its characters to its entities, when it is alone."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from trigger_api.evaluation.entities.scores import scorer
from trigger_api.model_card import WEIGHTS_FILE, read_card
from trigger_api.tasks.entities.tagger import Tagger

SENTENCE = "Mr. Smith left the U.S. Army in May and moved to Paris, where he works for the French newspaper Le Monde."


def time_entities(model: Path, text: str = SENTENCE, rounds: int = 300) -> dict[str, float]:
    """Time a text's way through a model folder, milliseconds: the median and the 95th of 100.

    Raises:
        OSError: a file of the model cannot be read.
        pydantic.ValidationError: its card is not one.
    """
    import keras

    card = read_card(model)
    tagger = Tagger.load(model, card.labels, card.sequence_lengths)
    score = scorer(keras.models.load_model(model / WEIGHTS_FILE, compile=False, safe_mode=True))
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        prepared = tagger.prepare(text)
        tagger.read(prepared, score(prepared.items))
        took.append(1000 * (time.perf_counter() - began))
    # The first rounds trace the graph.
    median, slow = np.percentile(took[rounds // 10 :], [50, 95])
    return {"p50_ms": round(float(median), 2), "p95_ms": round(float(slow), 2)}
