"""The networks that classify one face: as they are trained, and as they are served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from trigger_api.datasets.fer2013 import ELECTED, LABELS, SIDE
from trigger_api.training.emotions import inception_resnet, mobilenet
from trigger_api.training.emotions.layers import Blocks, copy_weights, normalise_contrast

ModelConfig = inception_resnet.ModelConfig | mobilenet.ModelConfig
_DROPOUT = 0.15
_SCORES, _VOTES = "scores", "votes"
_CLASSIFIER = "look"  # its name in the bundled models
_COLUMNS = [ELECTED.index(label) for label in LABELS]


def training_model(model_config: ModelConfig, *, votes: int) -> keras.Model:
    """Build the network to train, with the current dtype policy.

    Input: ``faces (batch, side, side, 1)``, 0..255. Output: ``scores (batch, 7 + votes)`` float32: logits of
    the labels and of the columns of people's votes.
    """
    faces = layers.Input((None, None, 1), name="faces", dtype="float32")
    features = layers.Dropout(_DROPOUT)(_features(faces, model_config, training=True))
    scores = [_dense(len(LABELS), _SCORES)(features), *([_dense(votes, _VOTES)(features)] if votes else [])]
    return keras.Model({"faces": faces}, {"scores": ops.concatenate(scores, axis=1)})


def inference_model(model_config: ModelConfig) -> keras.Model:
    """Build the network to serve, in float32.

    Input: ``image (batch, 48, 48, 1)`` uint8. Output: ``probabilities (batch, 7)``, the mean of those of the face and
    of its mirror image.
    """
    faces = layers.Input((SIDE, SIDE, 1), name="faces")
    logits = _dense(len(LABELS), _SCORES)(_features(faces, model_config, training=False))
    classifier = keras.Model(faces, layers.Softmax()(logits), name=_CLASSIFIER)
    image = layers.Input((SIDE, SIDE, 1), name="image", dtype="uint8")
    picture = ops.cast(image, "float32")
    mean = (classifier(picture) + classifier(ops.flip(picture, 2))) / 2
    return keras.Model({"image": image}, {"probabilities": mean})


def export_model(
    network: keras.Model, model_config: ModelConfig, *, temperature: float, votes: float = 0.0
) -> keras.Model:
    """The model to serve, of a trained one: its logits are combined and divided by the temperature."""
    served = inference_model(model_config)
    classifier = served.get_layer(_CLASSIFIER)
    own, other = _weighted(classifier), _weighted(network)
    for layer, trained in zip(own, other, strict=False):  # the votes' layer comes last, and is not served
        layer.set_weights(trained.get_weights())
    last = [layer.get_weights() for layer in other if layer.name in (_SCORES, _VOTES)]
    both = (np.concatenate(values, axis=-1) for values in zip(*last, strict=True))
    classifier.get_layer(_SCORES).set_weights([combined_logits(values, votes) / temperature for values in both])
    return served


def combined_logits(scores: NDArray[np.float32], votes: float = 0.0) -> NDArray[np.float32]:
    """Logits of labels and votes ``(..., 7 + votes)`` to those of the labels ``(..., 7)``.

    The share ``votes`` comes from people's votes on the same emotions. It works on logits and, as that is linear, on
    the weights of the last layers.
    """
    count = len(LABELS)
    labels = scores[..., :count]
    return labels if not votes else (1 - votes) * labels + votes * scores[..., count:][..., _COLUMNS]


def transfer_weights(network: keras.Model, model: keras.Model) -> None:
    """Copy the weights of a served model to one to train, which may be deeper; served models have no votes.

    Raises:
        ValueError: it has another architecture.
    """
    copy_weights(_weighted(network), _weighted(model.get_layer(_CLASSIFIER)))


def _weighted(network: keras.Model) -> Sequence[keras.Layer]:
    """The layers with weights: the features', then the labels', and the votes' last."""
    rank = {_SCORES: 1, _VOTES: 2}
    return sorted((layer for layer in network.layers if layer.weights), key=lambda layer: rank.get(layer.name, 0))


def _features(faces: Any, model_config: ModelConfig, *, training: bool) -> Any:
    picture = normalise_contrast(faces)
    if isinstance(model_config, inception_resnet.ModelConfig):
        maps = inception_resnet.features(picture, Blocks(training), model_config)
    else:
        maps = mobilenet.features(picture, model_config, training=training)
    return layers.GlobalAveragePooling2D()(maps)


def _dense(units: int, name: str) -> keras.Layer:
    return layers.Dense(units, name=name, dtype="float32", kernel_initializer="glorot_uniform")
