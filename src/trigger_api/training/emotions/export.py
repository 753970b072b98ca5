"""A trained classifier becomes a model folder."""

from __future__ import annotations

from pathlib import Path

import keras

from trigger_api.datasets.fer2013 import Split
from trigger_api.evaluation.emotions.calibration import temperature
from trigger_api.model_card import ModelCard
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.emotions.card import classifier_card
from trigger_api.training.emotions.network import ModelConfig, export_model
from trigger_api.training.emotions.predictions import describe_accuracy, tta_logits
from trigger_api.training.loop import Log


def export_classifier(
    model: keras.Model,
    model_config: ModelConfig,
    validation: Split,
    output: Path,
    *,
    mirrored: bool,
    log: Log,
    votes: float = 0.0,
) -> ModelCard:
    """Write the model folder ``output``, its temperature fitted to the validation faces.

    Args:
        model: as it was trained.
        model_config: of it.
        validation: faces that were held out.
        output: the model folder, ending in ``<name>/<version>``.
        mirrored: whether it will see mirror images, too.
        log: is given the accuracy.
        votes: see ``combined_logits``.

    Raises:
        OSError: it cannot be written.
    """
    logits = tta_logits(model, validation.faces, votes)
    log(f"in the end: {describe_accuracy(logits, validation)}")
    fitted = temperature(logits if mirrored else logits[:1], validation.labels)
    final = export_model(model, model_config, temperature=fitted, mirrored=mirrored, votes=votes)
    return save_model_folder(final, output, classifier_card(output, fitted, mirrored=mirrored))
