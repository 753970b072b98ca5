"""A tiny model of named entities, and its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fastapi import FastAPI

from trigger_api.app import create_app
from trigger_api.model_card import Limits, ModelCard, TensorSpec, write_card
from trigger_api.scheduler import CompiledFunction, Tensors
from trigger_api.settings import Settings
from trigger_api.tasks.entities.bio import LABELS
from trigger_api.tasks.entities.gazetteers import FEATURES, write_gazetteers
from trigger_api.tasks.entities.tagger import GAZETTEERS_FILE, VOCABULARY_FILE
from trigger_api.tasks.entities.wordpiece import SPECIALS

VOCABULARY = (*SPECIALS, "i", "love", "paris", "rome", ".")
CARD = ModelCard(
    task="entities",
    name="tiny",
    version="3",
    labels=LABELS,
    inputs=(
        TensorSpec(name="pieces", shape=(-1,), dtype="int32"),
        TensorSpec(name="shapes", shape=(-1,), dtype="int32"),
        TensorSpec(name="gazetteers", shape=(-1, FEATURES)),
    ),
    outputs=(TensorSpec(name="scores", shape=(-1, len(LABELS))),),
    sequence_lengths=(16, 64),
    limits=Limits(batch_sizes=(1, 2)),
)


class PlaceModel:
    """Labels Paris and Rome as places, by their rows in a vocabulary."""

    def __init__(self, vocabulary: Sequence[str] = VOCABULARY) -> None:
        self._places = [vocabulary.index("paris"), vocabulary.index("rome")]

    def compile(self, specs: Sequence[TensorSpec], batch: int) -> CompiledFunction:
        """A function for batches of this size and length."""

        def run(tensors: Tensors) -> Tensors:
            assert {name: tensor.shape for name, tensor in tensors.items()} == {
                spec.name: (batch, *spec.shape) for spec in specs
            }
            place = np.isin(tensors["pieces"], self._places)
            return {"scores": np.eye(len(LABELS), dtype=np.float32)[place * LABELS.index("B-LOC")] * 9}

        return run


def add_tiny_ner(folder: Path, vocabulary: Sequence[str] = VOCABULARY) -> None:
    """Write the model's folder, without weights."""
    folder.mkdir(parents=True)
    write_card(folder, CARD)
    (folder / VOCABULARY_FILE).write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    write_gazetteers(folder / GAZETTEERS_FILE, {"paris": "c"})


def entities_app(folder: Path) -> FastAPI:
    """The application with the tiny model alone."""
    add_tiny_ner(folder / "models" / "tiny")
    settings = Settings(models=folder / "models", bundled=False, max_text_characters=2_000)
    return create_app(settings, loader=lambda path, card: PlaceModel())
