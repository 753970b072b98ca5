"""A classifier that has learned becomes a model folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras

from trigger_api.datasets.fer2013 import Split
from trigger_api.evaluation.emotions.calibration import temperature
from trigger_api.model_card import WEIGHTS_FILE, ModelCard, write_card
from trigger_api.training.compressed_save import write_small
from trigger_api.training.emotions.card import classifier_card
from trigger_api.training.emotions.network import Plan, stored
from trigger_api.training.emotions.predictions import figures, looks
from trigger_api.training.loop import Say


def finish(
    network: keras.Model, plan: Plan, unseen: Split, output: Path, *, mirrored: bool, say: Say, votes: float = 0.0
) -> ModelCard:
    """Write the model folder ``output``; its temperature is that of the faces held out. For ``votes`` see ``answered``.

    Raises:
        OSError: it cannot be written.
    """
    seen = looks(network, unseen.faces, votes)
    say(f"in the end: {figures(seen, unseen)}")
    heat = temperature(seen if mirrored else seen[:1], unseen.labels)
    output.mkdir(parents=True, exist_ok=True)
    final = stored(network, plan, temperature=heat, mirrored=mirrored, votes=votes)
    write_small(final, output / WEIGHTS_FILE)
    digest = hashlib.sha256((output / WEIGHTS_FILE).read_bytes()).hexdigest()
    card = classifier_card(output, final.count_params(), digest, heat, mirrored=mirrored)
    write_card(output, card)
    return card
