"""A trained classifier becomes a model folder."""

from __future__ import annotations

import keras

from trigger_api.datasets.fer2013 import Split
from trigger_api.evaluation.emotions.calibration import temperature
from trigger_api.model_card import ModelCard
from trigger_api.training.compressed_save import save_model_folder
from trigger_api.training.emotions.card import classifier_card
from trigger_api.training.emotions.network import ModelConfig, export_model
from trigger_api.training.emotions.predictions import describe_accuracy, tta_logits
from trigger_api.training.emotions.run import Run


def export_classifier(
    model: keras.Model, model_config: ModelConfig, validation: Split, run: Run, votes: float = 0.0
) -> ModelCard:
    """Write the model folder of a run, its temperature fitted to the validation faces; see ``combined_logits``.

    Raises:
        OSError: it cannot be written.
    """
    logits = tta_logits(model, validation.faces, votes)
    run.log(f"in the end: {describe_accuracy(logits, validation)}")
    fitted = temperature(logits, validation.labels)
    final = export_model(model, model_config, temperature=fitted, votes=votes)
    return save_model_folder(final, run.output, classifier_card(run.output, fitted))
